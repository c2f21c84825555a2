# Finds a JDK 25 or newer for quench and mvnw, which source this file (POSIX sh).
#
# find_jdk sets JDK to its folder, or says how to get one and returns 1. Looked at in this order: JAVA_HOME, the java
# of PATH, then the folders where JDKs are usually installed, of which the newest wins.

JDK_LEAST=25

# jdk_number FOLDER: sets JDK_NUMBER to the version as a number that can be compared, 0 if this is no JDK. Reads the
# file that every JDK carries, because starting a JVM takes far longer.
jdk_number() {
  JDK_NUMBER=0
  [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 0
  while IFS='=' read -r jdk_key jdk_value || [ -n "$jdk_key" ]; do
    if [ "$jdk_key" = JAVA_VERSION ]; then
      jdk_value=${jdk_value#\"}
      jdk_value=${jdk_value%%[!0-9.]*}
      jdk_major=${jdk_value%%.*}
      jdk_rest=${jdk_value#"$jdk_major"}.0.0
      jdk_rest=${jdk_rest#.}
      jdk_minor=${jdk_rest%%.*}
      jdk_rest=${jdk_rest#*.}
      jdk_patch=${jdk_rest%%.*}
      JDK_NUMBER=$((${jdk_major:-0} * 1000000 + ${jdk_minor:-0} * 1000 + ${jdk_patch:-0}))
      return 0
    fi
  done <"$1/release"
}

# jdk_try FOLDER: makes it JDK if it is new enough, newer than JDK, and runs here (it may be of another processor).
jdk_try() {
  jdk_number "$1"
  if [ "$JDK_NUMBER" -ge $((JDK_LEAST * 1000000)) ] && [ "$JDK_NUMBER" -gt "$JDK_BEST" ] &&
    "$1/bin/java" -Xshare:auto -version >/dev/null 2>&1; then
    JDK=$1
    JDK_BEST=$JDK_NUMBER
  fi
}

find_jdk() {
  JDK=
  JDK_BEST=0
  if [ -n "${JAVA_HOME-}" ]; then
    jdk_try "$JAVA_HOME"
    [ -z "$JDK" ] || return 0
  fi

  jdk_java=$(command -v java || :)
  if [ -n "$jdk_java" ]; then
    jdk_java=$(readlink -f "$jdk_java" 2>/dev/null || printf '%s' "$jdk_java")
    jdk_try "${jdk_java%/bin/java}"
    [ -z "$JDK" ] || return 0
  fi

  if [ -x /usr/libexec/java_home ]; then
    jdk_mac=$(/usr/libexec/java_home -v "$JDK_LEAST+" 2>/dev/null || :)
    [ -z "$jdk_mac" ] || jdk_try "$jdk_mac"
  fi
  jdk_home=${HOME:-/nonexistent}
  for jdk_folder in \
    /usr/lib/jvm/* /usr/lib64/jvm/* /usr/java/* /opt/* /opt/java/* /opt/jdk/* /usr/local/lib/jvm/* /usr/local/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home "$jdk_home"/Library/Java/JavaVirtualMachines/*/Contents/Home \
    /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
    /usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
    "${SDKMAN_DIR:-$jdk_home/.sdkman}"/candidates/java/* "$jdk_home"/.jdks/* "$jdk_home"/.jdk/* \
    "$jdk_home"/.gradle/jdks/* "$jdk_home"/.jabba/jdk/* "$jdk_home"/.jenv/versions/* \
    "${MISE_DATA_DIR:-$jdk_home/.local/share/mise}"/installs/java/* \
    "${ASDF_DATA_DIR:-$jdk_home/.asdf}"/installs/java/* /home/linuxbrew/.linuxbrew/opt/openjdk*/libexec; do
    [ ! -f "$jdk_folder/release" ] || jdk_try "$jdk_folder"
  done
  [ -z "$JDK" ] || return 0

  cat >&2 <<END
quench: error: no JDK $JDK_LEAST or newer found (looked at JAVA_HOME, at java on PATH, and in the usual folders).
Install one, for example Eclipse Temurin $JDK_LEAST (https://adoptium.net):
  Debian, Ubuntu   apt install temurin-$JDK_LEAST-jdk   (or openjdk-$JDK_LEAST-jdk)
  macOS            brew install --cask temurin@$JDK_LEAST
  anywhere         sdk install java $JDK_LEAST-tem   (https://sdkman.io)
or set JAVA_HOME to the folder of one that is installed.
END
  return 1
}
