// What PTX instructions mean, for the C++ that the translator writes. Registers are raw bits; this header and those
// it includes give the operations on them. A function here is named after its opcode; a trailing underscore keeps it
// apart from the C library's.
#pragma once

#include "ptx_integer.h"
#include "ptx_float.h"
#include "ptx_memory.h"
#include "ptx_warp.h"
#include "ptx_matrix.h"
#include "ptx_async.h"
#include "ptx_hopper.h"
