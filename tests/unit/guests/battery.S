// The first instructions of a request: catches the registers before the compiler uses any.
        .text
        .globl  inspect
inspect:
        movq    %rax, registers(%rip)
        movq    %rbx, registers+8(%rip)
        movq    %rcx, registers+16(%rip)
        movq    %rdx, registers+24(%rip)
        movq    %rbp, registers+32(%rip)
        movq    %rsp, registers+40(%rip)
        movq    %r8, registers+48(%rip)
        movq    %r9, registers+56(%rip)
        movq    %r10, registers+64(%rip)
        movq    %r11, registers+72(%rip)
        movq    %r12, registers+80(%rip)
        movq    %r13, registers+88(%rip)
        movq    %r14, registers+96(%rip)
        movq    %r15, registers+104(%rip)
        movq    %rsi, registers+112(%rip)
        movq    %rdi, registers+120(%rip)
        pushfq
        popq    %rax
        movq    %rax, registers+128(%rip)
        movl    %ds, %eax
        movq    %rax, registers+136(%rip)
        movl    %es, %eax
        movq    %rax, registers+144(%rip)
        movl    %fs, %eax
        movq    %rax, registers+152(%rip)
        movl    %gs, %eax
        movq    %rax, registers+160(%rip)
        fnstcw  registers+168(%rip)
        fnstsw  registers+176(%rip)
        stmxcsr registers+184(%rip)
        cmpl    $0, have_xsave(%rip)
        je      1f
        movl    $-1, %eax
        movl    $-1, %edx
        xsave64 vectors(%rip)
        movq    registers+120(%rip), %rdi
        jmp     inspect_state
1:      fxsave64 vectors(%rip)
        jmp     inspect_state

// Fills every vector register the CPU has with the 64-byte pattern at RDI; RSI: 0 SSE, 1 AVX, 2 AVX-512.
        .globl  fill_vectors
fill_vectors:
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  (%rdi), %xmm\n
        .endr
        testl   %esi, %esi
        jz      1f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups (%rdi), %ymm\n
        .endr
        cmpl    $1, %esi
        je      1f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups (%rdi), %zmm\n
        .endr
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        vmovups (%rdi), %zmm\n
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        kmovw   (%rdi), %k\n
        .endr
1:      fldl    (%rdi)
        ret
        .section .note.GNU-stack, "", @progbits
