/* The windows of NAME_around.c beside those of generated C, on samples with gaps. Says at which sample they differ, or nothing. The
 * library's steps are the generated network's. */
#include "lib_around.h"
#include "lib_model.h"
#include "net.h"
#include <stdio.h>
#include <string.h>

static net_state state;
static net_windows theirs;
static lib_windows ours;
static kgl_model model;

kgl_status kgl_step(const kgl_model *m, void *s, size_t size, const float *sample, size_t inputs, float *output, size_t outputs)
{
    (void)m, (void)s, (void)inputs, (void)outputs;
#ifdef WHOLE
    (void)sample, (void)output;
    return size == 0 ? KGL_NULL : KGL_WRONG_KIND;
#else
    net_step(&state, sample, output);
    return size == 0 ? KGL_NULL : KGL_OK;
#endif
}

kgl_status kgl_step_window(const kgl_model *m, void *s, size_t size, const float *samples, size_t numbers, float *output, size_t outputs)
{
    (void)m, (void)s, (void)outputs;
    if (size == 0 || numbers != NET_WINDOW * NET_INPUTS) {
        return KGL_LENGTH;
    }
    net_reset(&state);
#ifdef WHOLE
    net_step_window(&state, samples, output);
#else
    for (int t = 0; t < NET_WINDOW; t++) {
        net_step(&state, samples + t * NET_INPUTS, output);
    }
#endif
    return KGL_OK;
}

uint32_t kgl_answered(const kgl_model *m, void *s, size_t size)
{
    (void)m, (void)s, (void)size;
    return 1;
}

int main(void)
{
    static const float nan_of[2] = {0.0f, 0.0f};
    uint32_t word = 1;
    for (int step = 0; step < 400; step++) {
        float sample[NET_INPUTS], a[NET_OUTPUTS], b[NET_OUTPUTS];
        if (step == 300) {
            net_windows_reset(&theirs);
            lib_windows_reset(&ours);
            net_reset(&state);
        }
        for (int i = 0; i < NET_INPUTS; i++) {
            word = word * UINT32_C(1664525) + UINT32_C(1013904223);
            sample[i] = word >> 30 == 0 ? nan_of[0] / nan_of[1] : (float)(word >> 16) / 32768.0f;
        }
        const int is_theirs = net_push(&theirs, sample, a);
        const int is_ours = lib_push(&ours, &model, &state, sizeof state, sample, b);
        for (int i = 0; is_theirs && i < NET_OUTPUTS; i++) {
            if (!(a[i] != a[i] && b[i] != b[i]) && memcmp(a + i, b + i, sizeof *a) != 0) {
                printf("sample %d, output %d: %g, not %g\n", step, i, (double)b[i], (double)a[i]);
                return 0;
            }
        }
        if (is_ours != is_theirs) {
            printf("sample %d: %d, not %d\n", step, is_ours, is_theirs);
            return 0;
        }
    }
    /* What the library refuses is told. */
    for (int step = 0; step < NET_WINDOW + NET_HOP; step++) {
        float sample[NET_INPUTS] = {0.0f}, out[NET_OUTPUTS];
        if (lib_push(&ours, &model, &state, 0, sample, out) < 0) {
            return 0;
        }
    }
    puts("what was refused is not told");
    return 0;
}
