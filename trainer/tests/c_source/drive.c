/* Does what standard input says with a generated network, and prints what it answers: numbers as hexadecimal bits. */
#include "net.h"
#include <stdio.h>

typedef char state_is_as_large_as_told[sizeof(net_state) == STATE_BYTES ? 1 : -1];

static net_state state;
#ifdef WINDOWS
static net_windows windows;
#endif

static uint32_t word(void)
{
    unsigned bits = 0;
    return scanf("%x", &bits) == 1 ? (uint32_t)bits : 0;
}

#ifdef SAMPLES
static float number(void)
{
    union {
        uint32_t bits;
        float number;
    } both;
    both.bits = word();
    return both.number;
}

#endif

static void put(float x)
{
    union {
        uint32_t bits;
        float number;
    } both;
    both.number = x;
    printf(" %08x", x != x ? 0x7fc00000u : (unsigned)both.bits);
}

int main(void)
{
    float out[NET_OUTPUTS];
#ifdef SAMPLES
    float in[NET_INPUTS];
#endif
#ifdef INTEGER
    int16_t out_q[NET_OUTPUTS];
#ifdef SAMPLES
    int16_t in_q[NET_INPUTS];
#endif
#endif
    char command;
    while (scanf(" %c", &command) == 1) {
        switch (command) {
        case 'd':
            printf(" %08x\n", (unsigned)net_self_test(&state));
            break;
        case 'r':
            net_reset(&state);
            break;
#ifdef SAMPLES
        case 's':
            for (int i = 0; i < NET_INPUTS; i++) {
                in[i] = number();
            }
            net_step(&state, in, out);
            for (int i = 0; i < NET_OUTPUTS; i++) {
                put(out[i]);
            }
            puts("");
            break;
#endif
#ifdef TOKENS
        case 't':
            net_step_token(&state, word(), out);
            for (int i = 0; i < NET_OUTPUTS; i++) {
                put(out[i]);
            }
            puts("");
            break;
#endif
#ifdef INTEGER
#ifdef SAMPLES
        case 'q':
            for (int i = 0; i < NET_INPUTS; i++) {
                in_q[i] = (int16_t)word();
            }
            net_step_q(&state, in_q, out_q);
#else
        case 'u':
            net_step_token_q(&state, word(), out_q);
#endif
            for (int i = 0; i < NET_OUTPUTS; i++) {
                printf(" %08x", (unsigned)(int)out_q[i]);
            }
            puts("");
            break;
#endif
#ifdef WINDOWS
        case 'w':
            net_windows_reset(&windows);
            break;
        case 'p':
            for (int i = 0; i < NET_INPUTS; i++) {
                in[i] = number();
            }
            if (!net_push(&windows, in, out)) {
                puts(" -");
                break;
            }
            for (int i = 0; i < NET_OUTPUTS; i++) {
                put(out[i]);
            }
            puts("");
            break;
#endif
        default:
            return 1;
        }
    }
    return 0;
}
