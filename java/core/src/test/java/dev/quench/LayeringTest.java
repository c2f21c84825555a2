package dev.quench;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A package is a step of the flow and depends only on steps before it. */
final class LayeringTest {
  private static final String ROOT = "dev.quench";

  private static final List<String> ORDER =
      List.of(
          ROOT,
          ROOT + ".progress",
          ROOT + ".tensor",
          ROOT + ".quantization",
          ROOT + ".device",
          ROOT + ".checkpoint",
          ROOT + ".recipe",
          ROOT + ".model",
          ROOT + ".calibration",
          ROOT + ".modifier",
          ROOT + ".format",
          ROOT + ".pipeline");

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT);

  @Test
  void everyPackageHasAPlace() {
    assertThat(CLASSES.stream().map(JavaClass::getPackageName).collect(Collectors.toSet()))
        .isNotEmpty()
        .isSubsetOf(ORDER);
  }

  @Test
  void packagesDependOnEarlierOnesOnly() {
    TreeSet<String> wrong =
        CLASSES.stream()
            .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
            .filter(
                dependency ->
                    ORDER.indexOf(
                            dependency.getTargetClass().getBaseComponentType().getPackageName())
                        > ORDER.indexOf(dependency.getOriginClass().getPackageName()))
            .map(
                dependency ->
                    dependency.getOriginClass().getName()
                        + " -> "
                        + dependency.getTargetClass().getBaseComponentType().getName())
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(wrong).isEmpty();
  }

  @Test
  void packagesAreFreeOfCycles() {
    slices().matching(ROOT + ".(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void aLibraryDoesNotEndTheProcess() {
    noClasses()
        .should()
        .callMethod(System.class, "exit", int.class)
        .orShould()
        .callMethod(Runtime.class, "exit", int.class)
        .orShould()
        .callMethod(Runtime.class, "halt", int.class)
        .check(CLASSES);
  }

  /**
   * Catching everything hides errors of the VM. Only downcalls, whose handles declare it, force it.
   * Looks at sources, because try-with-resources catches Throwable in bytecode.
   */
  @Test
  void onlyDowncallsCatchThrowable() throws IOException {
    List<Path> sources;
    try (Stream<Path> files = Files.walk(Path.of("src/main/java"))) {
      sources = files.filter(file -> file.toString().endsWith(".java")).toList();
    }
    assertThat(sources).isNotEmpty();
    for (Path source : sources) {
      String text = Files.readString(source);
      if (text.contains("catch (Throwable")) {
        assertThat(text).as(source.toString()).contains(".invokeExact(");
      }
    }
  }
}
