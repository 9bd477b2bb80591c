// Embeds the vDSO in this library. The build defines VDSO_FILE.
    .section .rodata
    .balign 4096
    .global tinykvm_vdso_begin
    .hidden tinykvm_vdso_begin
tinykvm_vdso_begin:
    .incbin VDSO_FILE
    .global tinykvm_vdso_end
    .hidden tinykvm_vdso_end
tinykvm_vdso_end:
    .section .note.GNU-stack, "", @progbits
