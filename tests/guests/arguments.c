// Arguments, environment, the auxiliary vector, and the exit status (the last argument).
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char** environ;

int main(int argc, char** argv) {
    // Not argv[0]: it is called by another name inside.
    for (int i = 1; i < argc; i++) printf("argv[%d] = '%s'\n", i, argv[i]);
    printf("argv ends: %d\n", argv[argc] == NULL);
    for (char** e = environ; *e; e++) printf("environment '%s'\n", *e);
    printf("FIRST is %s\n", getenv("FIRST"));

    printf("page size %lu, ticks %lu, header size %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
           getauxval(AT_PHENT));
    printf("secure %lu, flags %lu\n", getauxval(AT_SECURE), getauxval(AT_FLAGS));
    printf("platform %s\n", (const char*)getauxval(AT_PLATFORM));
    printf("name ends alike: %d\n", strrchr((const char*)getauxval(AT_EXECFN), '/') != NULL);
    const Elf64_Phdr* headers = (const Elf64_Phdr*)getauxval(AT_PHDR);
    printf("entry %d, headers %d, a loaded segment: ", getauxval(AT_ENTRY) != 0, getauxval(AT_PHNUM) > 2);
    int loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) loads += headers[i].p_type == PT_LOAD;
    printf("%d\n", loads > 0);
    printf("random: %d, vdso: %d\n", getauxval(AT_RANDOM) != 0, getauxval(AT_SYSINFO_EHDR) != 0);
    printf("stack aligned: %d\n", (uintptr_t)__builtin_frame_address(0) % 16 == 0);
    printf("ids are the auxiliary vector's: %d %d\n", getuid() == getauxval(AT_UID),
           getegid() == getauxval(AT_EGID));
    return argc > 1 ? atoi(argv[argc - 1]) : 0;
}
