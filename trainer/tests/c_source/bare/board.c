/* A board of QEMU without anything else: runs the self-test of a generated network, prints its digest and the instructions of
 * a step, and ends with 0 if the digest is right.
 *
 * NAME_H is the network's header; SELF_TEST, STEP, STATE, DIGEST, IN and OUT are its names, INTEGER if it is one.
 * HEAR, EAR and INPUTS are those of one that listens: it hears noise, and the checksum of what it heard is printed.
 * FPU is defined where code has float registers. PS_PER_TICK are the picoseconds of a SysTick tick, on ARM. */
#include NAME_H

extern uint32_t stack_top;

static long semihosting(long operation, const void *argument)
{
#if defined(__arm__)
    register long r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#else
    register long a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".balign 16\n.option push\n.option norvc\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
#endif
}

static void print(const char *text)
{
    semihosting(4, text);
}

static void print_number(uint32_t number, unsigned base, int digits)
{
    char text[12];
    int at = 11;
    text[at] = 0;
    do {
        const uint32_t digit = number % base;
        text[--at] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        number /= base;
    } while (number > 0 || 11 - at < digits);
    print(text + at);
}

static void leave(int ok)
{
    /* ADP_Stopped_ApplicationExit, or a run-time error. */
    const uintptr_t reason = ok ? 0x20026 : 0x20023;
    semihosting(0x18, (const void *)reason);
    for (;;) {
    }
}

/* Instructions executed so far, times a constant that `instructions` takes out: under -icount shift=7 each takes 128 ns. */
static uint32_t ticks(void)
{
#if defined(__arm__)
    return *(volatile uint32_t *)0xe000e018;
#else
    uint32_t count;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(count));
    return count;
#endif
}

static uint32_t instructions(uint32_t before, uint32_t after)
{
#if defined(__arm__)
    return (uint32_t)((((uint64_t)((before - after) & 0xffffff)) * PS_PER_TICK + 64000) / 128000);
#else
    return (after - before) / 128;
#endif
}

void *memset(void *to, int byte, __SIZE_TYPE__ n)
{
    for (volatile unsigned char *p = (unsigned char *)to; n > 0; n--) {
        *p++ = (unsigned char)byte;
    }
    return to;
}

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n)
{
    const unsigned char *q = (const unsigned char *)from;
    for (volatile unsigned char *p = (unsigned char *)to; n > 0; n--) {
        *p++ = *q++;
    }
    return to;
}

static STATE state;

__attribute__((noinline)) static void run(void)
{
#if defined(__arm__)
    *(volatile uint32_t *)0xe000e014 = 0xffffff;
    *(volatile uint32_t *)0xe000e018 = 0;
    *(volatile uint32_t *)0xe000e010 = 5;
#endif
    const uint32_t digest = SELF_TEST(&state);
    print("digest ");
    print_number(digest, 16, 8);
#ifdef STEP
    static int16_t in[IN];
    static int16_t out[OUT];
    for (int i = 0; i < IN; i++) {
        in[i] = (int16_t)(97 * i - 50);
    }
    STEP(&state, in, out);
    const uint32_t before = ticks();
    STEP(&state, in, out);
    const uint32_t after = ticks();
    print(" instructions ");
    print_number(instructions(before, after), 10, 1);
#endif
#ifdef HEAR
    static EAR ear;
    float row[INPUTS];
    uint32_t noise = 1, sum = 2166136261u, frame = 0;
    for (int rows = 0; rows < 8;) {
        noise = noise * 1664525u + 1013904223u;
        const uint32_t begin = ticks();
        const int ended = HEAR(&ear, (float)(int16_t)(noise >> 16) / 32768.0f, row);
        frame = instructions(begin, ticks());
        if (ended) {
            rows++;
            for (unsigned i = 0; i < sizeof row; i++) {
                sum = (sum ^ ((const unsigned char *)row)[i]) * 16777619u;
            }
        }
    }
    print(" sound ");
    print_number(sum, 16, 8);
    print(" instructions of a frame ");
    print_number(frame, 10, 1);
#endif
    print("\n");
    leave(digest == DIGEST);
}

/* Apart, since a function that uses float registers saves them before its first line. */
void start(void)
{
#ifdef FPU
    *(volatile uint32_t *)0xe000ed88 |= 0xf00000;
    __asm__ volatile("dsb\n isb");
#endif
    run();
}

#if defined(__arm__)
__attribute__((section(".start"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)start,
};
#else
__attribute__((section(".start"), naked, used)) void reset(void);
void reset(void)
{
    __asm__ volatile("la sp, stack_top\n j start");
}
#endif
