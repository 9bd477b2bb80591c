// SPDX-License-Identifier: BSD-2-Clause
// How programs call their host: kvm_api.h, kvm_call(). A jump to where every sandbox has the way to its host, with the
// number in AX, the arguments in DI, SI, DX, CX, R8, R9 and the address to come back to in R11. All registers but AX,
// DX, R10 and R11 keep their values, and no stack is used.
#include "textflag.h"
#include "go_asm.h"

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

// func leave(number, a, b, c, d, e, f uintptr)
//
// A call during which the host may call back. It is made on a stack of its own, because the host puts what it calls on
// top of the stack of the waiting call, and Go may move its own meanwhile.
TEXT ·leave(SB), NOSPLIT|NOFRAME, $0-56
	MOVQ number+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), CX
	MOVQ e+40(FP), R8
	MOVQ f+48(FP), R9
	MOVQ BP, ·goFrame(SB)
	MOVQ SP, ·goStack(SB)
	LEAQ ·left(SB), R11
	MOVQ HOST, R10
	LEAQ ·hostStack+const_hostStackSize(SB), SP
	JMP  R10

// The end of leave() when the call comes back.
TEXT ·left(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $0, ·entered(SB)
	JMP  ·goOn(SB)

// func giveBack(value, second uintptr)
//
// Returns to the host from what it called; the end is that of leave(), or the next callback.
TEXT ·giveBack(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ value+0(FP), AX
	MOVQ second+8(FP), DX
	MOVQ BP, ·goFrame(SB)
	MOVQ SP, ·goStack(SB)
	MOVQ ·hostFrame(SB), SP
	RET

// What the host calls, as functions of C: they go on where Go left, on a stack and with registers that Go knows.
TEXT ·getCallback(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $const_getCalled, ·entered(SB)
	JMP  ·enter(SB)

TEXT ·pieceCallback(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $const_pieceCalled, ·entered(SB)
	JMP  ·enter(SB)

TEXT ·streamCallback(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $const_streamCalled, ·entered(SB)
	JMP  ·enter(SB)

TEXT ·errorCallback(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $const_errorCalled, ·entered(SB)
	JMP  ·enter(SB)

TEXT ·enter(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ DI, ·entry+0(SB)
	MOVQ SI, ·entry+8(SB)
	MOVQ DX, ·entry+16(SB)
	MOVQ CX, ·entry+24(SB)
	MOVQ R8, ·entry+32(SB)
	MOVQ R9, ·entry+40(SB)
	MOVQ SP, ·hostFrame(SB)
	JMP  ·goOn(SB)

TEXT ·goOn(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ BP, R10 // never read again, but go vet wants to see it
	MOVQ ·goStack(SB), SP
	MOVQ ·goFrame(SB), BP
	RET

// func callbackAddress(which uintptr) uintptr
TEXT ·callbackAddress(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ which+0(FP), AX
	LEAQ ·getCallback(SB), CX
	CMPQ AX, $const_getCalled
	JEQ  found
	LEAQ ·pieceCallback(SB), CX
	CMPQ AX, $const_pieceCalled
	JEQ  found
	LEAQ ·streamCallback(SB), CX
	CMPQ AX, $const_streamCalled
	JEQ  found
	LEAQ ·errorCallback(SB), CX

found:
	MOVQ CX, ret+8(FP)
	RET
