/* An encoder reads, and its decoder says what it makes of it. */
#include "reads.h"
#include "says.h"
#include <stdio.h>

#if READS_LEFT != SAYS_LEFT
#error "they do not belong together"
#endif

int main(void)
{
    static const uint32_t text[4] = {3, 1, 4, 1}, told[3] = {2, 0, 2};
    static reads_state reader;
    static says_state speaker;
    unsigned char left[READS_LEFT];
    float read[READS_OUTPUTS], said[SAYS_OUTPUTS];
    for (int t = 0; t < 4; t++) {
        reads_step_token(&reader, text[t], read);
    }
    says_step_token(&speaker, 0, said);
    reads_leave(&reader, left);
    says_seed(&speaker, left);
    for (int t = 0; t < 3; t++) {
        says_step_token(&speaker, told[t], said);
        for (int i = 0; i < SAYS_OUTPUTS; i++) {
            union {
                float number;
                uint32_t bits;
            } both;
            both.number = said[i];
            printf(" %08x", (unsigned)both.bits);
        }
        puts("");
    }
    return 0;
}
