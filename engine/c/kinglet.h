/* The engine for quantized recurrent networks, from C99 and C++11 on.
 *
 *     static kgl_model model;                                   // any memory, aligned as its type is
 *     KGL_ALIGNED static uint8_t state[PUMP_STATE_SIZE];        // one for each stream; the size is kgl_state_size()
 *
 *     kgl_status status = kgl_model_open(&model, KGL_ABI, pump_model, PUMP_MODEL_SIZE);
 *     if (status == KGL_OK) status = kgl_reset(&model, state, sizeof state);
 *     ...
 *     status = kgl_step(&model, state, sizeof state, sample, PUMP_INPUTS, output, PUMP_OUTPUTS);
 *
 * No function allocates, blocks or keeps anything between calls but in the memory it is given. A model is only read after it was opened,
 * so threads may share it; a state belongs to one thread at a time. Weights are read where the file lies, in flash for example.
 *
 * Every function that can fail gives a kgl_status, and then leaves outputs and states as they were; only a self-test ends with its state reset.
 * Pointers that are not null must be to as much memory as the size beside them says. */


#ifndef KINGLET_H
#define KINGLET_H

#include <stddef.h>
#include <stdint.h>

/* Where states and model files lie: at a multiple of 16. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define KGL_ALIGNED alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define KGL_ALIGNED _Alignas(16)
#else
#define KGL_ALIGNED __attribute__((aligned(16)))
#endif

/**
 * Version of this interface, for kgl_model_open(). It rises with every change that would break a compiled program.
 */
#define KGL_ABI 1

/**
 * Words of a kgl_model, each as wide as a pointer: 2.1 KB of RAM on a 32-bit machine.
 */
#define KGL_MODEL_WORDS 536

/**
 * What a call came to; kgl_strerror() says it in words. More may be added.
 */
enum kgl_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Done.
     */
    KGL_OK = 0,
    /**
     * A pointer is null.
     */
    KGL_NULL = 1,
    /**
     * The program was compiled for another version of kinglet.h than the library's.
     */
    KGL_ABI_MISMATCH = 2,
    /**
     * The kgl_model was not opened, or for another KGL_ABI.
     */
    KGL_NOT_OPEN = 3,
    /**
     * The memory of the kgl_model is not aligned to 8.
     */
    KGL_MODEL_MISALIGNED = 4,
    /**
     * The model file does not lie at a multiple of 16; see KGL_ALIGNED.
     */
    KGL_FILE_MISALIGNED = 5,
    /**
     * The first bytes are not a model file's.
     */
    KGL_NOT_A_MODEL = 6,
    /**
     * The file is of a version that this library does not read.
     */
    KGL_FILE_VERSION = 7,
    /**
     * The file is cut short, too long, or its checksum differs.
     */
    KGL_FILE_DAMAGED = 8,
    /**
     * What the file says of the network does not fit together.
     */
    KGL_FILE_INVALID = 9,
    /**
     * The state has fewer than kgl_state_size() bytes.
     */
    KGL_STATE_SIZE = 10,
    /**
     * The state does not lie at a multiple of 16; see KGL_ALIGNED.
     */
    KGL_STATE_MISALIGNED = 11,
    /**
     * The state is that of a model with other recurrent layers. (A bidirectional model keeps nothing, and does not look.)
     */
    KGL_OTHER_STATE = 12,
    /**
     * A length is not the one that the model has.
     */
    KGL_LENGTH = 13,
    /**
     * An array of numbers is not aligned as its type.
     */
    KGL_NUMBERS_MISALIGNED = 14,
    /**
     * What is written overlaps what is read.
     */
    KGL_OVERLAP = 15,
    /**
     * The model is not of the kind that this function steps.
     */
    KGL_WRONG_KIND = 16,
    /**
     * The saved state is none, was cut or changed, has a number that is NaN, or is another model's of another length.
     */
    KGL_SAVED_DAMAGED = 17,
    /**
     * The state was saved with another model.
     */
    KGL_SAVED_BY_OTHER = 18,
    /**
     * The self-test gave other results than the file's.
     */
    KGL_TEST_FAILED = 19,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum kgl_status kgl_status;
#else
typedef int32_t kgl_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An opened model. Its memory is the caller's, the contents are not; it may be copied, and needs no closing.
 */
typedef struct kgl_model {
    /**
     * Tells an opened model from other memory.
     */
    uint64_t opened;
    /**
     * Of the library.
     */
    size_t memory[KGL_MODEL_WORDS];
} kgl_model;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The interface's version in the library; it must be KGL_ABI, which kgl_model_open() checks.
 */
uint32_t kgl_abi(void);

/**
 * Checks a whole model file, once, and opens it. Nothing is copied: the file must stay where it is.
 * This takes 2 KB of stack on a Cortex-M, more than any other call.
 *
 * @param model   Memory for it.
 * @param abi     KGL_ABI: what the program was compiled for.
 * @param file    The model file, at a multiple of 16.
 * @param size    Its bytes.
 * @return        KGL_ABI_MISMATCH, KGL_FILE_MISALIGNED, KGL_NOT_A_MODEL, KGL_FILE_VERSION, KGL_FILE_DAMAGED, KGL_FILE_INVALID;
 *                the model is then not open, whatever it was before.
 */
kgl_status kgl_model_open(struct kgl_model *model,
                          uint32_t abi,
                          const void *file,
                          size_t size);

/**
 * Numbers in a sample, or tokens in the alphabet; 0 if the model is not open.
 */
size_t kgl_inputs(const struct kgl_model *model);

/**
 * Numbers in an output; 0 if the model is not open.
 */
size_t kgl_outputs(const struct kgl_model *model);

/**
 * Samples or tokens of a window, for kgl_step_window() or kgl_step_window_tokens(); 0 if the model's state runs on from sample to sample, or the model is not open.
 */
size_t kgl_window(const struct kgl_model *model);

/**
 * Bytes of a stream's state; 0 if the model is not open.
 */
size_t kgl_state_size(const struct kgl_model *model);

/**
 * Bytes that kgl_save() writes; 0 if the model keeps nothing between windows (it is bidirectional), or is not open.
 */
size_t kgl_saved_size(const struct kgl_model *model);

/**
 * Fraction bits of a sample in kgl_step_q(): the integer q stands for q * 2^-bits. 0 if the model is not open or has floats.
 */
int32_t kgl_input_frac(const struct kgl_model *model);

/**
 * Fraction bits of an output of kgl_step_q(). 0 if the model is not open or has floats.
 */
int32_t kgl_output_frac(const struct kgl_model *model);

/**
 * Makes memory a state, at the start of a stream, whatever was in it.
 *
 * @param state  kgl_state_size() bytes or more, at a multiple of 16.
 * @return       KGL_STATE_SIZE, KGL_STATE_MISALIGNED, KGL_OVERLAP.
 */
kgl_status kgl_reset(const struct kgl_model *model, void *state, size_t state_size);

/**
 * One step: a raw sample in, a prediction in its unit out. The file has the normalisation.
 *
 * @param sample   kgl_inputs() numbers in the units that the network was trained on; a missing value is NaN.
 * @param output   kgl_outputs() numbers; apart from the sample and the state.
 * @return         KGL_LENGTH, KGL_WRONG_KIND (of tokens, or bidirectional), KGL_STATE_SIZE, KGL_STATE_MISALIGNED, KGL_OTHER_STATE, KGL_OVERLAP.
 */
kgl_status kgl_step(const struct kgl_model *model,
                    void *state,
                    size_t state_size,
                    const float *sample,
                    size_t inputs,
                    float *output,
                    size_t outputs);

/**
 * One step in integers, without normalisation and without a float instruction.
 *
 * @param sample   kgl_inputs() integers with kgl_input_frac() fraction bits.
 * @param output   kgl_outputs() integers with kgl_output_frac() fraction bits.
 * @return         As kgl_step(); KGL_WRONG_KIND also of a model in floats.
 */
kgl_status kgl_step_q(const struct kgl_model *model,
                      void *state,
                      size_t state_size,
                      const int16_t *sample,
                      size_t inputs,
                      int16_t *output,
                      size_t outputs);

/**
 * One step on a token. A number that is no token, kgl_inputs() or more, enters as a vector of zeros.
 *
 * @param token    Its number in the alphabet.
 * @param output   kgl_outputs() scores.
 * @return         As kgl_step(); KGL_WRONG_KIND of a model of samples.
 */
kgl_status kgl_step_token(const struct kgl_model *model,
                          void *state,
                          size_t state_size,
                          uint32_t token,
                          float *output,
                          size_t outputs);

/**
 * A whole window at once, computed from zero: nothing is known of what was before it. The only way for a bidirectional model.
 *
 * @param samples  kgl_window() samples of kgl_inputs() raw numbers, one after the other, oldest first.
 * @param numbers  kgl_window() times kgl_inputs().
 * @param output   kgl_outputs() numbers.
 * @return         As kgl_step(); KGL_WRONG_KIND of a model of tokens, or whose state runs on.
 */
kgl_status kgl_step_window(const struct kgl_model *model,
                           void *state,
                           size_t state_size,
                           const float *samples,
                           size_t numbers,
                           float *output,
                           size_t outputs);

/**
 * As kgl_step_window(), of a model of tokens. Where it is not bidirectional a text may be shorter: kgl_reset(), kgl_step_token() for each
 * of its tokens, and the last output counts. A number that is no token, kgl_inputs() or more, enters as a vector of zeros.
 *
 * @param tokens   kgl_window() numbers of tokens, oldest first.
 * @param count    kgl_window().
 * @param output   kgl_outputs() scores.
 * @return         As kgl_step(); KGL_WRONG_KIND of a model of samples, or whose state runs on.
 */
kgl_status kgl_step_window_tokens(const struct kgl_model *model,
                                  void *state,
                                  size_t state_size,
                                  const size_t *tokens,
                                  size_t count,
                                  float *output,
                                  size_t outputs);

/**
 * Whether the last step had an answer of its own. A model whose convolutions have a stride, or which pools over time, has one for some
 * samples only: kgl_step() gives the last one again in between, and before the first what an answer of zeros stands for.
 *
 * @return  1 or 0; 0 too where kgl_step() would be an error.
 */
uint32_t kgl_answered(const struct kgl_model *model,
                      void *state,
                      size_t state_size);

/**
 * Writes what outlasts a step, to go on later, after a power failure for example.
 *
 * @param saved    kgl_saved_size() bytes or more, anywhere. The same bytes on every machine.
 * @return         KGL_LENGTH, KGL_WRONG_KIND (bidirectional), KGL_SAVED_DAMAGED if the state of a float layer is NaN, and as kgl_step().
 */
kgl_status kgl_save(const struct kgl_model *model,
                    void *state,
                    size_t state_size,
                    void *saved,
                    size_t saved_size);

/**
 * Goes on from what kgl_save() wrote.
 *
 * @param saved       What was written.
 * @param saved_size  kgl_saved_size().
 * @return            KGL_SAVED_DAMAGED, KGL_SAVED_BY_OTHER, KGL_LENGTH, and as kgl_step().
 */
kgl_status kgl_restore(const struct kgl_model *model,
                       void *state,
                       size_t state_size,
                       const void *saved,
                       size_t saved_size);

/**
 * Starts a decoder's stream from what an encoder knows: from the states of its recurrent layers and convolutions.
 *
 * @param model         The decoder.
 * @param state         A state of it, after kgl_reset().
 * @param encoder       The encoder, whose layers of these kinds are as the decoder's.
 * @param encoder_state The state of what it has read.
 * @return              KGL_OTHER_STATE if the layers differ, and as kgl_step().
 */
kgl_status kgl_seed(const struct kgl_model *model,
                    void *state,
                    size_t state_size,
                    const struct kgl_model *encoder,
                    void *encoder_state,
                    size_t encoder_state_size);

/**
 * Runs the steps with known results that every model file carries; the state is reset.
 *
 * @param digest   Where the digest of outputs and states goes; may be null. Of integers it is the one that `kinglet verify` prints, of floats
 *                 the one in its line of the kernels that run here, as some round a multiplication and an addition once.
 * @return         KGL_TEST_FAILED if this machine computes something else, and as kgl_step().
 */
kgl_status kgl_self_test(const struct kgl_model *model,
                         void *state,
                         size_t state_size,
                         uint32_t *digest);

/**
 * A status in words: a constant text in English, also for numbers that are no status.
 */
const char *kgl_strerror(int status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KINGLET_H */
