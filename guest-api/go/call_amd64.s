// SPDX-License-Identifier: BSD-2-Clause
// How programs call their host: kvm_api.h, kvm_call(). A jump to where every sandbox has the way to its host, with the
// number in AX, the arguments in DI, SI, DX, CX, R8, R9 and the address to come back to in R11. All registers but AX,
// DX, R10 and R11 keep their values, and no stack is used.
#include "textflag.h"

#define HOST $0x7FFFE04800

// func call(number, a, b, c, d, e, f uintptr) (value, second uintptr)
TEXT ·call(SB), NOSPLIT|NOFRAME, $0-72
	MOVQ number+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), CX
	MOVQ e+40(FP), R8
	MOVQ f+48(FP), R9
	LEAQ ·called(SB), R11
	MOVQ HOST, R10
	JMP  R10

// The end of call(), on its stack.
TEXT ·called(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ AX, 64(SP)
	MOVQ DX, 72(SP)
	RET

// func wait(number uintptr, request *rawRequest) (failed uintptr)
TEXT ·wait(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ number+0(FP), AX
	MOVQ request+8(FP), DI
	MOVQ SP, ·waitingStack(SB)
	MOVQ BP, ·waitingFrame(SB)
	LEAQ ·waited(SB), R11
	MOVQ HOST, R10
	JMP  R10

// The end of wait(), on its stack.
TEXT ·waited(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $0, 24(SP)
	RET

// What the host calls after a failure, as a function of C with the name of the failure and the request as its third and
// fourth argument, in a program that stands in wait(): that is where it goes on, on a stack and with registers that Go
// knows.
TEXT ·failed(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ DX, ·failure(SB)
	MOVQ CX, ·failedRequest(SB)
	MOVQ BP, R10 // never read again, but go vet wants to see it
	MOVQ ·waitingStack(SB), SP
	MOVQ ·waitingFrame(SB), BP
	MOVQ $1, 24(SP)
	RET

// func failedAddress() uintptr
TEXT ·failedAddress(SB), NOSPLIT|NOFRAME, $0-8
	LEAQ ·failed(SB), AX
	MOVQ AX, ret+0(FP)
	RET
