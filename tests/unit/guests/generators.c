// A program that draws random numbers while it boots, from the generator that its first argument names, and again for
// each request (when it has read its input). Prints what it draws then.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

// Libraries are loaded by name, so that this program needs none of them to be built.
static void* symbol(const char* library, const char* name) {
    void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    void* found = handle ? dlsym(handle, name) : NULL;
    if (found) return found;
    printf("missing: %s %s\n", library, name);
    exit(77);
}

// Has the program read its input? Some libraries have to be told that they are in a copy of a process.
static int in_request;

static int openssl(unsigned char* to, int size) {
    int (*generate)(unsigned char*, int) = symbol("libcrypto.so.3", "RAND_bytes");
    return generate(to, size) == 1;
}
static int gnutls(unsigned char* to, int size) {
    int (*generate)(int, void*, size_t) = symbol("libgnutls.so.30", "gnutls_rnd");
    return generate(1, to, (size_t)size) == 0;  // GNUTLS_RND_RANDOM
}
static int gnutls_refreshed(unsigned char* to, int size) {
    void (*refresh)(void) = symbol("libgnutls.so.30", "gnutls_rnd_refresh");
    if (in_request) refresh();
    return gnutls(to, size);
}
static int nss(unsigned char* to, int size) {
    int (*begin)(const char*) = symbol("libnss3.so", "NSS_NoDB_Init");
    int (*generate)(unsigned char*, int) = symbol("libnss3.so", "PK11_GenerateRandom");
    return begin(NULL) == 0 && generate(to, size) == 0;
}
static int nss_restarted(unsigned char* to, int size) {
    int (*end)(void) = symbol("libnss3.so", "NSS_Shutdown");
    if (in_request && end()) return 0;
    return nss(to, size);
}
static int libgcrypt(unsigned char* to, int size) {
    const char* (*begin)(const char*) = symbol("libgcrypt.so.20", "gcry_check_version");
    void (*generate)(void*, size_t, int) = symbol("libgcrypt.so.20", "gcry_randomize");
    if (!begin(NULL)) return 0;
    generate(to, (size_t)size, 1);  // GCRY_STRONG_RANDOM
    return 1;
}
static int libsodium(unsigned char* to, int size) {
    int (*begin)(void) = symbol("libsodium.so.23", "sodium_init");
    void (*generate)(void*, size_t) = symbol("libsodium.so.23", "randombytes_buf");
    if (begin() < 0) return 0;
    generate(to, (size_t)size);
    return 1;
}
// The generator of libsodium that does not ask the system each time.
static int libsodium_internal(unsigned char* to, int size) {
    int (*choose)(void*) = symbol("libsodium.so.23", "randombytes_set_implementation");
    static int chosen;
    if (!chosen) chosen = choose(symbol("libsodium.so.23", "randombytes_internal_implementation")) == 0;
    return chosen && libsodium(to, size);
}
static int libsodium_stirred(unsigned char* to, int size) {
    void (*stir)(void) = symbol("libsodium.so.23", "randombytes_stir");
    if (in_request) stir();
    return libsodium_internal(to, size);
}
static int libbsd(unsigned char* to, int size) {
    void (*generate)(void*, size_t) = symbol("libbsd.so.0", "arc4random_buf");
    generate(to, (size_t)size);
    return 1;
}
// As BoringSSL, aws-lc and Rust's libraries notice forks.
static int wiped_memory(unsigned char* to, int size) {
    static unsigned char* page;
    if (!page) {
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (madvise(page, 4096, MADV_WIPEONFORK)) return 0;
    }
    if (page[0] == 0) {
        if (getentropy(page + 1, 64)) return 0;
        page[0] = 1;
    }
    memcpy(to, page + 1, (size_t)size);
    return 1;
}
static int auxiliary(unsigned char* to, int size) {
    memcpy(to, (const void*)getauxval(AT_RANDOM), (size_t)size);
    return 1;
}

static const struct {
    const char* name;
    int (*draw)(unsigned char* to, int size);
} generators[] = {{"openssl", openssl},
                  {"gnutls", gnutls},
                  {"gnutls-refreshed", gnutls_refreshed},
                  {"nss", nss},
                  {"nss-restarted", nss_restarted},
                  {"libgcrypt", libgcrypt},
                  {"libsodium", libsodium},
                  {"libsodium-stirred", libsodium_stirred},
                  {"libbsd", libbsd},
                  {"wiped-memory", wiped_memory},
                  {"auxiliary", auxiliary}};

int main(int argc, char** argv) {
    unsigned char bytes[16];
    for (unsigned i = 0; argc > 1 && i < sizeof generators / sizeof generators[0]; i++) {
        if (strcmp(argv[1], generators[i].name)) continue;
        if (argc == 2 && !generators[i].draw(bytes, sizeof bytes)) return 1;
        char nothing;
        if (read(0, &nothing, 1) < 0) return 2;
        in_request = 1;
        if (!generators[i].draw(bytes, sizeof bytes)) return 3;
        for (unsigned k = 0; k < sizeof bytes; k++) printf("%02x", bytes[k]);
        return 0;
    }
    return 4;
}
