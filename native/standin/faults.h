// Memory faults of kernels become failed launches instead of the end of the process.
#pragma once

namespace standin {

// Once per process. Faults of other threads go on to the handler that was there before (a JVM needs its own).
void installFaultHandler();

// For each OS thread that runs fibers: the handler needs a stack of its own, for faults that are stack overflows.
void useSignalStack();

}  // namespace standin
