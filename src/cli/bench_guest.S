// bench_guest.c, compiled and linked, inside the `tinykvm` program.
        .section .rodata
        .globl  tinykvm_bench_guest, tinykvm_bench_guest_end
tinykvm_bench_guest:
        .incbin BENCH_GUEST
tinykvm_bench_guest_end:
        .section .note.GNU-stack, "", @progbits
