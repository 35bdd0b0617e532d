/* Does what standard input says with a generated network, and prints what it answers: numbers as hexadecimal bits. */
#include "net.h"
#include <stdio.h>

/* Samples or tokens of a command, and the function for them. */
#ifdef WHOLE
#define AT_ONCE NET_WINDOW
#define STEP net_step_window
#define STEP_Q net_step_window_q
#else
#define AT_ONCE 1
#define STEP net_step
#define STEP_Q net_step_q
#endif

typedef char state_is_as_large_as_told[sizeof(net_state) == STATE_BYTES ? 1 : -1];

static net_state state;
#ifdef WINDOWS
static net_windows windows;
#endif
#ifdef HEARS
static net_ear ear;
#endif
#ifdef ALARM
static float score;
#endif
#ifdef TOKEN
static uint32_t last;
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

static void numbers(float *x, int n)
{
    for (int i = 0; i < n; i++) {
        x[i] = number();
    }
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

static void put_all(const float *x, int n)
{
    for (int i = 0; i < n; i++) {
        put(x[i]);
    }
    puts("");
}

int main(void)
{
    float out[NET_OUTPUTS];
#ifdef SAMPLES
    float in[AT_ONCE * NET_INPUTS];
#else
    uint32_t tokens[AT_ONCE];
#endif
#ifdef INTEGER
    int16_t out_q[NET_OUTPUTS];
#ifdef SAMPLES
    int16_t in_q[AT_ONCE * NET_INPUTS];
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
            numbers(in, AT_ONCE * NET_INPUTS);
            STEP(&state, in, out);
            put_all(out, NET_OUTPUTS);
            break;
#endif
#ifdef TOKENS
        case 't':
            for (int i = 0; i < AT_ONCE; i++) {
                tokens[i] = word();
            }
#ifdef WHOLE
            net_step_window_tokens(&state, tokens, out);
#else
            net_step_token(&state, tokens[0], out);
#endif
            put_all(out, NET_OUTPUTS);
            break;
#endif
#ifdef INTEGER
#ifdef SAMPLES
        case 'q':
            for (int i = 0; i < AT_ONCE * NET_INPUTS; i++) {
                in_q[i] = (int16_t)word();
            }
            STEP_Q(&state, in_q, out_q);
#else
        case 'u':
            for (int i = 0; i < AT_ONCE; i++) {
                tokens[i] = word();
            }
#ifdef WHOLE
            net_step_window_tokens_q(&state, tokens, out_q);
#else
            net_step_token_q(&state, tokens[0], out_q);
#endif
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
            numbers(in, NET_INPUTS);
            if (!net_push(&windows, in, out)) {
                puts(" -");
                break;
            }
            put_all(out, NET_OUTPUTS);
            break;
#endif
#ifdef HEARS
        case 'e':
            net_ear_reset(&ear);
            break;
        case 'h':
            if (!net_hear(&ear, number(), in)) {
                puts(" -");
                break;
            }
            put_all(in, NET_INPUTS);
            break;
#endif
#ifdef ALARM
        case 'a': {
            int is_alarm;
            numbers(out, NET_OUTPUTS);
#ifdef HEARS
            is_alarm = net_alarm(&score, out);
#else
            numbers(in, NET_INPUTS);
            is_alarm = net_alarm(&score, out, in);
#endif
            put(score);
            printf(" %08x\n", (unsigned)is_alarm);
            break;
        }
#endif
#ifdef TOKEN
        case 'l':
            numbers(out, NET_OUTPUTS);
            printf(" %08x\n", (unsigned)net_token(&last, out));
            break;
#endif
        default:
            return 1;
        }
    }
    return 0;
}
