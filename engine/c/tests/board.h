/* The claims on a board of QEMU, as `trainer/tests/c_source/bare/board.c` wants them: a digest, wrong where one does not hold. */
#include "abi.h"

typedef int abi_state;

static uint32_t abi_self_test(abi_state *ignored)
{
    uint32_t digest = 0;
    int line = samples(&digest);
    (void)ignored;
    if (line == 0) {
        line = others();
    }
    if (line == 0) {
        /* For the step that is counted. */
        line = kgl_model_open(&model, KGL_ABI, lstm_model, LSTM_MODEL_SIZE) != KGL_OK || kgl_reset(&model, stream, sizeof stream) != KGL_OK;
    }
    return line == 0 ? digest : (uint32_t)line;
}

static void abi_step(abi_state *ignored, const int16_t *in, int16_t *out)
{
    (void)ignored;
    (void)kgl_step_q(&model, stream, sizeof stream, in, LSTM_INPUTS, out, LSTM_OUTPUTS);
}
