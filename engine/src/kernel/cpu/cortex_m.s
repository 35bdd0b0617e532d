@ The functions of `cortex_m.rs`; registers and the frame are described there. Macros are taken back at the end,
@ because a program has one space of their names.

.syntax unified

@ Two columns of a pair of rows.
.macro pair r, a, w, x
    smlad \r, \w, \x, \r
    sxtb16 \w, \w
    smlad \a, \w, \x, \a
.endm

@ Two columns of two pairs of rows.
.macro two p, q, x
    pair r0, r1, \p, \x
    pair r2, r3, \q, \x
.endm

.macro one_pair
    ldr r8, [r12], #4
    ldm lr!, {r4, r5}
    two r4, r5, r8
.endm

.macro group
    ldm r12!, {r8-r11}
    ldm lr!, {r4-r7}
    two r4, r5, r8
    two r6, r7, r9
    ldm lr!, {r4-r7}
    two r4, r5, r10
    two r6, r7, r11
.endm

@ Four columns of a row, inputs in r8 and r9.
.macro quad sum, w
    sxtb16 r10, \w
    smlad \sum, r10, r8, \sum
    sxtb16 r10, \w, ror #8
    smlad \sum, r10, r9, \sum
.endm

.macro four_quads
    ldm r12!, {r8, r9}
    ldm lr!, {r4-r7}
    quad r0, r4
    quad r1, r5
    quad r2, r6
    quad r3, r7
.endm

.macro three_quads a, b, c
    ldm r12!, {r8, r9}
    ldm lr!, {r4-r6}
    quad \a, r4
    quad \b, r5
    quad \c, r6
.endm

@ Two columns of four rows of four bits.
.macro nibbles w, x
    smlad r3, \w, \x, r3
    sxtb16 r10, \w, ror #8
    smlad r2, r10, \x, r2
    and \w, \w, #0x0f0f0f0f
    smlad r1, \w, \x, r1
    and \w, \w, #0x000f000f
    smlad r0, \w, \x, r0
.endm

.macro one_word
    ldr r8, [r12], #4
    ldr r4, [lr], #4
    nibbles r4, r8
.endm

.macro four_words
    ldm lr!, {r4-r7}
    ldm r12!, {r8, r9}
    nibbles r4, r8
    nibbles r5, r9
    ldm r12!, {r8, r9}
    nibbles r6, r8
    nibbles r7, r9
.endm

@ Two columns of three pairs of rows.
.macro three x
    ldm lr!, {r6-r8}
    pair r0, r1, r6, \x
    pair r2, r3, r7, \x
    pair r4, r5, r8, \x
.endm

.macro single
    ldr r9, [r12], #4
    three r9
.endm

.macro double
    ldm r12!, {r9, r10}
    three r9
    three r10
.endm

@ From a frame at r0 to the first record: registers saved, the frame at sp, entries as addresses, by the list at label 8.
.macro begin name
    .pushsection .text.kinglet_\name, "ax", %progbits
    .balign 4
    .global kinglet_\name
    .hidden kinglet_\name
    .type kinglet_\name, %function
    .thumb_func
kinglet_\name:
    push {r4-r11, lr}
    sub sp, #8
    ldm r0!, {r1-r11}
    ldm r0, {r0, r12, lr}
    push {r1-r11}
    adr.w r1, 8f
    ldrsh r0, [r1, r0, lsl #1]
    ldrsh r12, [r1, r12, lsl #1]
    add r0, r1
    add r12, r1
    strd r0, r12, [sp, #44]
    ldr r12, [sp, #32]
.endm

.macro end
    add sp, #52
    pop {r4-r11, pc}
8:
.endm

@ To the list of entries: from label to label are so many blocks, entered at the first, or one of the others, or behind
@ as many as there are numbers.
.macro entries from, to, blocks, skip:vararg
    .irp blocks_skipped, \skip
    .short \from - 8b + \blocks_skipped * ((\to - \from) / \blocks) + 1
    .endr
.endm

.macro done name
    .size kinglet_\name, . - kinglet_\name
    .popsection
.endm

@ The four sums of an A8 record, as 256 B + A in r0, r2 and A in r1, r3; eight groups at the end have no test behind them.
.macro sums
1:
    ldm lr!, {r0-r3}
    ldr.w pc, [sp, #44]
    .balign 4
2:
    .rept 3
    one_pair
    .endr
3:
    ldr.w pc, [sp, #48]
4:
    .rept 4
    group
    .endr
5:
    ldr.w r4, [sp, #40]
    cmp r4, r12
    bne.w 4b
6:
    .rept 8
    group
    .endr
7:
.endm

@ Three, two or one pair of words; a round without none to three of its groups; the last groups to none.
.macro entries_sums
    entries 2b, 3b, 3, 0, 1, 2
    entries 4b, 5b, 4, 0, 1, 2, 3
    entries 6b, 7b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8
.endm

@ The four pre-activations of an A8 record in r0 to r3, not yet saturated.
.macro requant
    ldm lr!, {r4-r7}
    sub r8, r0, r1
    lsl r0, r1, #8
    sub r9, r2, r3
    lsl r2, r3, #8
    smmulr r0, r0, r4
    smmulr r1, r8, r5
    smmulr r2, r2, r6
    smmulr r3, r9, r7
.endm

@ Four sums in r0 to r3 by the multipliers that are next.
.macro scaled
    ldm lr!, {r4-r7}
    smmulr r0, r0, r4
    smmulr r1, r1, r5
    smmulr r2, r2, r6
    smmulr r3, r3, r7
.endm

@ The four pre-activations of an A16 record in r0 to r3, not yet saturated.
.macro sums16
1:
    ldm lr!, {r0-r3}
    ldr.w r11, [sp, #40]
    ldr.w pc, [sp, #44]
    .balign 4
2:
    .rept 4
    four_quads
    .endr
3:
    cmp r11, r12
    bne.w 2b
    scaled
.endm

@ A round without none to three of its quads.
.macro entries_sums16
    entries 2b, 3b, 4, 0, 1, 2, 3
.endm

@ The four pre-activations of a W4A8 record in r0 to r3, not yet saturated.
.macro sums4
1:
    ldm lr!, {r0-r3}
    ldr.w r11, [sp, #40]
    ldr.w pc, [sp, #44]
    .balign 4
2:
    .rept 3
    one_word
    .endr
3:
    ldr.w pc, [sp, #48]
4:
    .rept 4
    four_words
    .endr
5:
    cmp r11, r12
    bne.w 4b
6:
    @ r8 has 128 for each column's one. First come r3 and r1, which need the others as they are.
    ldr r8, [sp, #36]
    sub r3, r3, r2, lsl #8
    sub r3, r3, r0
    sub r3, r3, r8
    lsl r3, r3, #4
    sub r1, r1, r0
    sub r1, r1, r8, lsl #4
    rsb r2, r8, r2, lsl #4
    sub r2, r2, r1, asr #4
    rsb r0, r8, r0, lsl #4
    lsl r0, r0, #4
    scaled
.endm

@ Three, two or one word; a round without none to three of its fours; none of those.
.macro entries_sums4
    entries 2b, 3b, 3, 0, 1, 2
    entries 4b, 5b, 4, 0, 1, 2, 3
    entries 6b, 6b, 1, 0
.endm

@ z becomes a gate in Q31, by the table of 2^bits segments.
.macro gate bits, z, table, free
    ssat \z, #16, \z
    .if \bits == 8
    uxtb \free, \z, ror #8
    .else
    ubfx \free, \z, #16-\bits, #\bits
    .endif
    ldr \free, [\table, \free, lsl #2]
    smulbb \z, \free, \z
    add \z, \free, \z, lsl #\bits
.endm

@ From an LSTM's pre-activations to its output in the register of f, stored as y.
.macro lstm bits, i, f, g, o
    @ r5 sigmoid, r6 tanh, r7 to r9 the ends of master, y and h, r10 unit, r11 and r12 shifts.
    ldm sp, {r5-r12}
    gate \bits, \f, r5, r4
    gate \bits, \i, r5, r4
    gate \bits, \o, r5, r4
    gate \bits, \g, r6, r4
    ldr r4, [r7, r10, lsl #2]
    smmulr \f, \f, r4
    smmulr \i, \i, \g
    asr \i, \i, r11
    add \f, \i, \f, lsl #1
    ssat \f, #31, \f
    str \f, [r7, r10, lsl #2]
    asr \f, \f, r12
    gate \bits, \f, r6, r4
    @ r12 the first column again, r11 a half.
    ldrd r12, r11, [sp, #32]
    smmlar \f, \o, \f, r11
    asr \f, \f, #18
    strh \f, [r8, r10, lsl #1]
.endm

@ Four pre-activations stored.
.macro store_four
    ssat r0, #16, r0
    ssat r1, #16, r1
    ssat r2, #16, r2
    ssat r3, #16, r3
    pkhbt r0, r0, r1, lsl #16
    pkhbt r1, r2, r3, lsl #16
    @ r4 z, r5 what is left, r12 the first column again.
    ldrd r4, r5, [sp, #16]
    ldr r12, [sp, #32]
    str r0, [r4], #4
    str r1, [r4], #4
    adds r5, r5, #1
    strd r4, r5, [sp, #16]
    bne.w 1b
.endm

.macro next_unit
    adds r10, r10, #1
    str r10, [sp, #20]
    bne.w 1b
.endm

@ y (2^-12) narrowed to 2^-7.
.macro narrow y
    add \y, \y, #16
    ssat \y, #8, \y, asr #5
.endm

@ Four tanh units from their pre-activations in r0 to r3: master states and outputs are stored, outputs 0 and 2
@ are left in r4, 1 and 3 in r3. As a state's 16 lower bits do not matter to its output, y = (upper half + 1) / 2.
.macro rnn bits
    @ r5 tanh, r6 master, r7 y, r8 h, r9 what is left, r10 and r11 pairs of 1 and 16, r12 the first column again.
    ldm sp, {r4-r12}
    gate \bits, r0, r5, r4
    gate \bits, r1, r5, r4
    gate \bits, r2, r5, r4
    gate \bits, r3, r5, r4
    asr r0, r0, #2
    asr r1, r1, #2
    asr r2, r2, #2
    asr r3, r3, #2
    stm r6!, {r0-r3}
    pkhtb r4, r2, r0, asr #16
    pkhtb r3, r3, r1, asr #16
    shadd16 r4, r4, r10
    shadd16 r3, r3, r10
    pkhbt r0, r4, r3, lsl #16
    pkhtb r1, r3, r4, asr #16
    str r0, [r7], #4
    str r1, [r7], #4
.endm

.macro rnn_next
    adds r9, r9, #1
    stm sp, {r4-r9}
    bne.w 1b
.endm

@ The gates of a GRU's unit from its pre-activations; n starts as its part over the input. half is 2^14.
.macro gru_gates bits, r, z, n, nh, sigmoid, tanh, half
    gate \bits, \r, \sigmoid, r12
    smlatb \r, \r, \nh, \half
    add \n, \n, \r, asr #15
    gate \bits, \n, \tanh, r12
    gate \bits, \z, \sigmoid, r12
.endm

@ The master state in h by a GRU's gates.
.macro blend h, z, n
    asr \n, \n, #2
    sub \h, \h, \n
    smmulr \h, \z, \h
    add \h, \n, \h, lsl #1
.endm

@ The output of a GRU's unit in the register of its master state, stored at y. Not by SMMULR: a state that was
@ put there may be any number, and the sum wraps.
.macro output h, y
    add \h, \h, #0x10000
    asr \h, \h, #17
    strh \h, [\y], #2
.endm

    begin lstm_a8
    sums
    requant
    lstm 8, r0, r1, r2, r3
    narrow r1
    strb r1, [r9, r10]
    next_unit
    end
    entries_sums
    done lstm_a8

    begin lstm_a16
    sums16
    lstm 9, r0, r1, r2, r3
    next_unit
    end
    entries_sums16
    done lstm_a16

    begin rnn_a8
    @ From here on SEL takes bytes 0 and 2 of the first operand: nothing below sets these flags.
    mov r0, #0x50000
    msr APSR_g, r0
    sums
    requant
    rnn 8
    @ Four outputs narrowed at once.
    qadd16 r4, r4, r11
    qadd16 r3, r3, r11
    ssat16 r4, #13, r4
    ssat16 r3, #13, r3
    lsr r4, r4, #5
    lsl r3, r3, #3
    sel r4, r4, r3
    str r4, [r8], #4
    rnn_next
    end
    entries_sums
    done rnn_a8

    begin rnn_a16
    sums16
    rnn 9
    rnn_next
    end
    entries_sums16
    done rnn_a16

    begin records_a8
    sums
    requant
    store_four
    end
    entries_sums
    done records_a8

    begin records_a16
    sums16
    store_four
    end
    entries_sums16
    done records_a16

    begin records_w4
    sums4
    store_four
    end
    entries_sums4
    done records_w4

    begin gru_a8
1:
    ldm lr!, {r0-r5}
    ldr.w pc, [sp, #44]
    .balign 4
2:
    single
3:
    ldr.w r11, [sp, #36]
4:
    double
    cmp r12, r11
    bne.w 4b
    b.w 6f
5:
    @ Few inputs: no test.
    .rept 4
    single
    .endr
6:
    @ n over the input waits for n over the state.
    strd r4, r5, [sp, #24]
    ldm lr!, {r4, r5}
    ldr.w pc, [sp, #48]
10:
    .rept 4
    double
    .endr
11:
    ldr.w r6, [sp, #40]
    cmp r6, r12
    bne.w 10b
12:
    .rept 8
    double
    .endr
13:
    ldm lr!, {r6-r9}
    sub r0, r0, r1
    lsl r1, r1, #8
    sub r2, r2, r3
    lsl r3, r3, #8
    smmulr r1, r1, r6
    smmulr r0, r0, r7
    smmulr r3, r3, r8
    smmulr r2, r2, r9
    ldm lr!, {r6-r9}
    ldrd r10, r11, [sp, #24]
    sub r10, r10, r11
    lsl r11, r11, #8
    sub r4, r4, r5
    lsl r5, r5, #8
    smmulr r6, r11, r6
    smmulr r7, r10, r7
    smmulr r5, r5, r8
    smmulr r4, r4, r9
    ssat r6, #16, r6
    ssat r7, #16, r7
    ssat r5, #16, r5
    ssat r4, #16, r4
    ldrd r8, r9, [sp]
    mov r10, #0x4000
    gru_gates 8, r1, r0, r6, r5, r8, r9, r10
    gru_gates 8, r3, r2, r7, r4, r8, r9, r10
    @ r4 master, r5 y, r8 h, r9 what is left, r12 the first column again.
    ldm sp, {r1, r3-r5, r8-r12}
    ldrd r10, r11, [r4]
    blend r10, r0, r6
    blend r11, r2, r7
    strd r10, r11, [r4], #8
    output r10, r5
    output r11, r5
    narrow r10
    narrow r11
    strb r10, [r8], #1
    strb r11, [r8], #1
    adds r9, r9, #1
    stm sp, {r1, r3-r5, r8, r9}
    bne.w 1b
    end
    @ Four input words to one; more, an odd number or an even one.
    entries 5b, 6b, 4, 0, 1, 2, 3
    entries 2b, 3b, 1, 0, 1
    @ A round without none to three of its pairs of state words; the last eight pairs to one.
    entries 10b, 11b, 4, 0, 1, 2, 3
    entries 12b, 13b, 8, 0, 1, 2, 3, 4, 5, 6, 7
    done gru_a8

    begin gru_a16
1:
    ldm lr!, {r0-r2}
    ldr.w r11, [sp, #36]
    .balign 4
2:
    three_quads r0, r1, r2
    cmp r12, r11
    bne.w 2b
    @ n over the input waits for n over the state.
    mov r7, r0
    ldr r0, [lr], #4
    ldr.w r11, [sp, #40]
    ldr.w pc, [sp, #48]
3:
    .rept 4
    three_quads r1, r2, r0
    .endr
4:
    cmp r12, r11
    bne.w 3b
    ldm lr!, {r3-r6}
    smmulr r7, r7, r3
    smmulr r1, r1, r4
    smmulr r2, r2, r5
    smmulr r0, r0, r6
    ssat r7, #16, r7
    ssat r0, #16, r0
    ldrd r8, r9, [sp]
    mov r10, #0x4000
    gru_gates 9, r1, r2, r7, r0, r8, r9, r10
    @ r4 master, r5 y, r9 what is left, r12 the first column again.
    ldm sp, {r1, r3-r5, r8-r12}
    ldr r10, [r4]
    blend r10, r2, r7
    str r10, [r4], #4
    output r10, r5
    adds r9, r9, #1
    stm sp, {r1, r3-r5, r8, r9}
    bne.w 1b
    end
    @ All of the input; a round without none to three of the state's quads.
    entries 2b, 2b, 1, 0
    entries 3b, 4b, 4, 0, 1, 2, 3
    done gru_a16

.irp name, pair, two, one_pair, group, nibbles, one_word, four_words, quad, four_quads, three_quads, three, single, double, begin, end, entries, done
.purgem \name
.endr
.irp name, sums, entries_sums, requant, scaled, sums16, entries_sums16, sums4, entries_sums4, gate, store_four, lstm, next_unit, narrow, rnn, rnn_next, gru_gates, blend, output
.purgem \name
.endr
