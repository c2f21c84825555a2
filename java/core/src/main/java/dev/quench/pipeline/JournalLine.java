package dev.quench.pipeline;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A finished layer in the journal. */
record JournalLine(int layer, List<ModuleReport> reports) {

  ObjectNode toJson() {
    ObjectNode line = JsonNodeFactory.instance.objectNode();
    line.put("layer", layer);
    ArrayNode modules = line.putArray("modules");
    for (ModuleReport report : reports) {
      ObjectNode module = modules.addObject();
      module.put("module", report.module());
      module.put("method", report.method());
      if (!Double.isNaN(report.loss())) {
        module.put("loss", report.loss());
      }
      module.put("dampings", report.dampings());
      module.put("fell_back", report.fellBack());
      module.put("seconds", report.seconds());
    }
    return line;
  }

  static JournalLine of(ObjectNode line) {
    List<ModuleReport> reports = new ArrayList<>();
    for (JsonNode module : line.path("modules")) {
      reports.add(
          new ModuleReport(
              module.path("module").asString(),
              module.path("method").asString(),
              module.path("loss").asDouble(Double.NaN),
              module.path("dampings").asInt(),
              module.path("fell_back").asBoolean(),
              module.path("seconds").asDouble()));
    }
    return new JournalLine(line.path("layer").asInt(), reports);
  }
}
