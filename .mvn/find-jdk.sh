# Finds a JDK of at least version 25 and exports JAVA_HOME. Sourced by mvnw and quench.
# Looks at JAVA_HOME, then at java on PATH, then in the folders where JDKs usually lie; the newest of those wins.

QUENCH_JDK_WANTED=25

# Prints the feature version of the JDK in folder $1, or nothing; reads its release file, which is quicker than starting it.
quench_jdk_version() {
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

quench_jdk_suits() {
  quench_version=$(quench_jdk_version "$1")
  [ -n "$quench_version" ] && [ "$quench_version" -ge "$QUENCH_JDK_WANTED" ]
}

quench_find_jdk() {
  if [ -n "${JAVA_HOME-}" ] && quench_jdk_suits "$JAVA_HOME"; then
    export JAVA_HOME
    return 0
  fi
  quench_java=$(command -v java 2>/dev/null || true)
  if [ -n "$quench_java" ]; then
    quench_java=$(readlink -f "$quench_java" 2>/dev/null || echo "$quench_java")
    quench_candidate=${quench_java%/bin/java}
    if quench_jdk_suits "$quench_candidate"; then
      JAVA_HOME=$quench_candidate
      export JAVA_HOME
      return 0
    fi
  fi
  quench_best=0
  quench_best_home=
  quench_noglob=$(case $- in *f*) echo yes ;; esac)
  set +f
  for quench_candidate in /usr/lib/jvm/* /usr/java/* /opt/* /opt/*/* /Library/Java/JavaVirtualMachines/*/Contents/Home \
    "${HOME:-/nonexistent}"/.sdkman/candidates/java/* "${HOME:-/nonexistent}"/.jdks/* \
    "${HOME:-/nonexistent}"/.local/share/mise/installs/java/* "${HOME:-/nonexistent}"/.asdf/installs/java/*; do
    if quench_jdk_suits "$quench_candidate" && [ "$quench_version" -gt "$quench_best" ]; then
      quench_best=$quench_version
      quench_best_home=$quench_candidate
    fi
  done
  [ -z "$quench_noglob" ] || set -f
  if [ -n "$quench_best_home" ]; then
    JAVA_HOME=$quench_best_home
    export JAVA_HOME
    return 0
  fi
  cat >&2 <<END
Quench needs a JDK of version $QUENCH_JDK_WANTED or newer, and found none (JAVA_HOME, PATH, /usr/lib/jvm and the like).
Get one, for example Eclipse Temurin $QUENCH_JDK_WANTED: 'apt install temurin-$QUENCH_JDK_WANTED-jdk' from Adoptium's repository,
'brew install --cask temurin@$QUENCH_JDK_WANTED', or 'sdk install java $QUENCH_JDK_WANTED-tem'; then set JAVA_HOME to it if it isn't found by itself.
END
  return 1
}
