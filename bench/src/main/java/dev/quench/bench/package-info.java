/** JMH benchmarks, one question a class. */
package dev.quench.bench;
