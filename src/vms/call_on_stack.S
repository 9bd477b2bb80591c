// void tinykvm_call_on_stack(void (*function)(void*), void* argument, void* top): calls function(argument) with the stack
// that ends at `top`, a multiple of 16. Unwinders find their way through it.
        .text
        .globl  tinykvm_call_on_stack
        .hidden tinykvm_call_on_stack
        .type   tinykvm_call_on_stack, @function
tinykvm_call_on_stack:
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        movq    %rdx, %rsp
        movq    %rdi, %rax
        movq    %rsi, %rdi
        callq   *%rax
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        retq
        .cfi_endproc
        .size   tinykvm_call_on_stack, . - tinykvm_call_on_stack

        .section .note.GNU-stack, "", @progbits
