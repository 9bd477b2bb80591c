#include "tinykvm/linux/signal_frame.hpp"

#include <csignal>
#include <cstring>
#include <vector>

#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// struct rt_sigframe of the kernel.
struct StackDescription {
    std::uint64_t begin;
    std::int32_t flags, padding;
    std::uint64_t size;
};
struct MachineContext {
    std::uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    std::uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    std::uint16_t cs, gs, fs, ss;
    std::uint64_t error_code, vector, old_mask, fault_address;
    std::uint64_t vector_state;  // guest address of the XSAVE image, 0: none
    std::uint64_t reserved[8];
};
struct SignalFrame {
    std::uint64_t return_address;
    std::uint64_t flags, link;
    StackDescription stack;
    MachineContext context;
    SignalSet mask;
    SignalInfo info;
};
static_assert(sizeof(MachineContext) == 256 && sizeof(SignalFrame) == 440);

constexpr std::uint64_t frame_flags = 7;  // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
constexpr std::uint16_t user_cs = 0x33, user_ss = 0x2b;
constexpr std::size_t red_zone = 128;

// What a program may have in its flags: arithmetic flags, DF, TF, AC and RF; bit 1 and IF are always set.
constexpr std::uint64_t flags_of_program = 0x50dd5;
constexpr std::uint64_t flags_always = 0x202;
constexpr std::uint64_t flag_trap = 0x100, flag_direction = 0x400, flag_resume = 0x10000;

// Linux describes the XSAVE image in bytes 464-511 of its legacy area, which the processor leaves alone.
struct ImageDescription {
    std::uint32_t magic1;
    std::uint32_t extended_size;  // of the image and the second magic number after it
    std::uint64_t features;
    std::uint32_t image_size;
    std::uint32_t padding[7];
};
static_assert(sizeof(ImageDescription) == 48);
constexpr std::size_t description_offset = 464;
constexpr std::size_t legacy_size = 512, header_size = 64;
constexpr std::uint32_t magic1 = 0x46505853, magic2 = 0x46505845;

// No XSAVE image of an x86-64 processor without AMX is larger.
constexpr std::size_t max_image = 65536;

bool write_vectors(GuestMemory& memory, GuestAddr address, VectorState& vectors) {
    const std::size_t size = vectors.size();
    std::vector<std::byte> image(size + sizeof magic2);
    vectors.save(std::span(image.data(), size));
    const ImageDescription description{magic1,
                                       static_cast<std::uint32_t>(size + sizeof magic2),
                                       vectors.features(),
                                       static_cast<std::uint32_t>(size),
                                       {}};
    std::memcpy(image.data() + description_offset, &description, sizeof description);
    std::memcpy(image.data() + size, &magic2, sizeof magic2);
    return memory.write(address, image.data(), image.size());
}

// The image a frame refers to, ready for VectorState::load; empty when it is not valid.
std::vector<std::byte> read_vectors(GuestMemory& memory, GuestAddr address, const VectorState& vectors) {
    const std::size_t size = vectors.size();
    std::vector<std::byte> image(size);
    if (address == 0) {  // the initial state
        const std::uint16_t control_word = 0x37f;
        const std::uint32_t mxcsr = 0x1f80;
        std::memcpy(image.data(), &control_word, sizeof control_word);
        std::memcpy(image.data() + 24, &mxcsr, sizeof mxcsr);
        return image;
    }
    if (address % 64 != 0 || !memory.read(address, image.data(), legacy_size)) return {};
    ImageDescription description;
    std::memcpy(&description, image.data() + description_offset, sizeof description);
    std::uint32_t end = 0;
    const bool extended = description.magic1 == magic1 && description.image_size == size &&
                          description.extended_size == size + sizeof magic2 && memory.read(address + size, end) &&
                          end == magic2;
    if (extended) {
        if (!memory.read(address, image.data(), size)) return {};
    } else {  // x87 and SSE only
        const std::uint64_t present = 3;
        std::memcpy(image.data() + legacy_size, &present, sizeof present);
    }
    std::memset(image.data() + description_offset, 0, sizeof description);
    return image;
}

}  // namespace

bool push_signal_frame(GuestMemory& memory, ProcessState& state, const PendingSignal& pending,
                       const SignalAction& action, SignalSet saved_mask, const FaultContext& fault,
                       Registers& registers, VectorState& vectors) {
    constexpr std::uint64_t sa_restorer = 0x04000000;
    const std::size_t image_size = vectors.size();
    if (!(action.flags & sa_restorer) || image_size < legacy_size + header_size || image_size > max_image) return false;

    AlternateStack& alternate = state.thread.alternate_stack;
    const bool already_there = !alternate.disarm_when_entered && alternate.contains(registers.rsp);
    const bool enter = (action.flags & SA_ONSTACK) && alternate.size != 0 && !already_there;
    std::uint64_t stack = enter ? alternate.begin + alternate.size : registers.rsp - red_zone;
    if (stack < image_size + sizeof(SignalFrame) + 256) return false;
    const GuestAddr image = (stack - image_size - sizeof magic2) & ~std::uint64_t{63};
    const GuestAddr address = ((image - sizeof(SignalFrame)) & ~std::uint64_t{15}) - 8;
    // A frame on the alternate stack has to fit into that.
    if ((enter || already_there) && (address < alternate.begin || address >= alternate.begin + alternate.size))
        return false;

    const Registers& r = registers;
    SignalFrame frame{};
    frame.return_address = action.restorer;
    frame.flags = frame_flags;
    frame.stack.begin = alternate.begin;
    frame.stack.size = alternate.size;
    frame.stack.flags = alternate.size == 0 ? SS_DISABLE : already_there ? SS_ONSTACK : 0;
    if (alternate.disarm_when_entered) frame.stack.flags |= static_cast<std::int32_t>(0x80000000u);
    // clang-format off
    frame.context = {r.r8,  r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx,
                     r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.rflags, user_cs, 0, 0, user_ss,
                     fault.error_code, fault.vector, saved_mask, fault.address, image, {}};
    // clang-format on
    frame.mask = saved_mask;
    frame.info = pending.info;
    if (!memory.is_writable(address, stack - address) || !write_vectors(memory, image, vectors) ||
        !memory.write(address, frame))
        return false;

    if (alternate.disarm_when_entered) alternate = {};
    registers.rdi = static_cast<std::uint64_t>(pending.signal);
    registers.rsi = address + offsetof(SignalFrame, info);
    registers.rdx = address + offsetof(SignalFrame, flags);
    registers.rax = 0;
    registers.rsp = address;
    registers.rip = action.handler;
    registers.rflags &= ~(flag_direction | flag_resume | flag_trap);
    return true;
}

bool pop_signal_frame(GuestMemory& memory, ProcessState& state, Registers& registers, VectorState& vectors) {
    // The handler's `ret` has taken the return address.
    SignalFrame frame;
    if (registers.rsp < 8 || !memory.read(registers.rsp - 8, frame)) return false;
    const MachineContext& c = frame.context;
    if (c.rip >= x86::user_end) return false;
    const std::vector<std::byte> image = read_vectors(memory, c.vector_state, vectors);
    if (image.empty() || !vectors.load(image)) return false;

    // clang-format off
    registers = {.rax = c.rax, .rbx = c.rbx, .rcx = c.rcx, .rdx = c.rdx, .rsi = c.rsi, .rdi = c.rdi,
                 .rsp = c.rsp, .rbp = c.rbp, .r8 = c.r8, .r9 = c.r9, .r10 = c.r10, .r11 = c.r11,
                 .r12 = c.r12, .r13 = c.r13, .r14 = c.r14, .r15 = c.r15, .rip = c.rip,
                 .rflags = (c.rflags & flags_of_program) | flags_always};
    // clang-format on
    state.thread.blocked = frame.mask & ~unblockable;
    // As in Linux, the stack that the frame describes becomes the alternate stack again, if it is valid.
    constexpr std::int32_t auto_disarm = static_cast<std::int32_t>(0x80000000u);
    if (frame.stack.flags & auto_disarm && !(frame.stack.flags & SS_DISABLE) && frame.stack.size >= 2048 &&
        frame.stack.begin < x86::user_end && frame.stack.size < x86::user_end)
        state.thread.alternate_stack = {frame.stack.begin, frame.stack.size, true};
    return true;
}

}  // namespace tinykvm::linux_abi
