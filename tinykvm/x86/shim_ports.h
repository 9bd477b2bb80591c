/* How the shim tells the host what happened. Read by the assembler and by C++. */
#ifndef TINYKVM_X86_SHIM_PORTS_H
#define TINYKVM_X86_SHIM_PORTS_H

#define DOORBELL 0x7FFFFFF000 /* x86/layout.hpp */

/* Offsets of 4-byte stores in the doorbell page. */
#define DOORBELL_HOST_CALL 0
#define DOORBELL_SYSCALL 8
#define DOORBELL_RETURN 16

/* From the shim to the snapshot's vector registers (x86/layout.hpp). */
#define SHIM_TO_VECTORS 0x6000

/* Ports of OUT at CPL0. */
#define PORT_SYSCALL 0x10
#define PORT_EXCEPTION 0x80

#endif
