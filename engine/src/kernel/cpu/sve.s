// The functions of `sve.rs`, where the order of products is described. Macros are taken back at the end, because a program
// has one space of their names.
//
// x0 sums, x1 weights, x2 inputs, x3 blocks, x4 panels, w5 the offset of four-bit weights; then x5 to x7 are 8, 16 and 24, x8 to x11
// the weights of four panels, x12 inputs, x13 what is left, x14 the blocks of four registers, x15 free, x16 bytes of a panel, x17 panels in
// a register but one.
// z0 to z3 inputs, z16 to z19 sums, z20 to z23 other sums of the same panels, z24 to z27 weights, z4 to z7 their upper halves, z28 and z29
// places of inputs, z30 free, z31 the offset. Of z8 to z15 the lower halves are the caller's.
// p0 all lanes, p1 a panel's, p2 inputs of four registers, p3 and p4 what is left.

.arch_extension sve

.macro entry name
    .pushsection .text.kinglet_sve_\name, "ax", %progbits
    .balign 16
    .global kinglet_sve_\name
    .hidden kinglet_sve_\name
    .type kinglet_sve_\name, %function
kinglet_sve_\name:
    ptrue p1.s, vl8
.endm

.macro end name
    ret
    .size kinglet_sve_\name, . - kinglet_sve_\name
    .popsection
.endm

.macro begin name
    entry \name
    ptrue p0.b
    rdvl x14, #1
    // Lane l has row l % 8 of block l / 8 of the register that multiplies with word l % 4 of each quadword.
    lsr x17, x14, #5
    index z28.s, #0, #1
    lsr z29.s, z28.s, #3
    and z28.s, z28.s, #3
    mov z30.s, w17
    mla z29.s, p0/m, z28.s, z30.s
    lsr x14, x14, #3
    sub x17, x17, #1
    lsl x16, x3, #5
.endm

// What four-bit weights need besides: places of even and of odd words.
.macro pairs
    add z28.s, z29.s, z29.s
    mov z29.d, z28.d
    add z29.s, z29.s, #1
    mov z31.s, #0
    mov z31.s, p1/m, w5
.endm

// A macro for each of so many panels: its weights, the place of its sums, and its registers.
.macro each count, what, i, p
    \what x8, "[x0]", z16, z20, z24, z4, \i, \p
    .if \count > 1
    \what x9, "[x0, x5, lsl #2]", z17, z21, z25, z5, \i, \p
    .endif
    .if \count > 2
    \what x10, "[x0, x6, lsl #2]", z18, z22, z26, z6, \i, \p
    .endif
    .if \count > 3
    \what x11, "[x0, x7, lsl #2]", z19, z23, z27, z7, \i, \p
    .endif
.endm

.macro load_sums w, place, a, b, t, u, i, p
    ld1w {\a\().s}, p1/z, \place
    mov \b\().s, #0
.endm

.macro take_offset w, place, a, b, t, u, i, p
    sub \a\().s, \a\().s, z31.s
.endm

.macro store_sums w, place, a, b, t, u, i, p
    st1w {\a\().s}, p1, \place
.endm

.macro advance w, place, a, b, t, u, i, p
    addvl \w, \w, #\i
.endm

.macro add_int w, place, a, b, t, u, i, p
    add \a\().s, \a\().s, \b\().s
.endm

.macro add_float w, place, a, b, t, u, i, p
    fadd \a\().s, \a\().s, \b\().s
.endm

.macro add_high w, place, a, b, t, u, i, p
    lsl \b\().s, \b\().s, #8
    add \a\().s, \a\().s, \b\().s
.endm

.macro copy w, place, a, b, t, u, i, p
    mov \b\().d, \a\().d
.endm

.macro next_panel w, place, a, b, t, u, i, p
    tbl \b\().s, {\b\().s}, z30.s
.endm

// A format is how a register of inputs is loaded (`load_F`, by the predicates of either half) and laid out (`lay_F`), how a register of weights is
// multiplied (`by_F`), how the sums of a panel are put together, how registers are added, and how far four registers of weights and their
// inputs go.

.macro load_one p, q
    ld1b {z0.b}, \p/z, [x12]
.endm
.macro lay_words
    tbl z0.s, {z0.s}, z29.s
.endm
// To both sums of a panel by turns.
.macro by_turns multiply, type, a, b, t, i
    .if \i & 1
    \multiply \b\().s, \t\().\type, z0.\type[\i]
    .else
    \multiply \a\().s, \t\().\type, z0.\type[\i]
    .endif
.endm

.macro by_a8 w, place, a, b, t, u, i, p
    ld1w {\t\().s}, \p/z, [\w, #\i, mul vl]
    by_turns sdot, b, \a, \b, \t, \i
.endm

.macro by_f32 w, place, a, b, t, u, i, p
    ld1w {\t\().s}, \p/z, [\w, #\i, mul vl]
    by_turns fmla, s, \a, \b, \t, \i
.endm

.macro by_f16 w, place, a, b, t, u, i, p
    ld1h {\t\().s}, \p/z, [\w, #\i, mul vl]
    fcvt \t\().s, p0/m, \t\().h
    by_turns fmla, s, \a, \b, \t, \i
.endm

// x = 256 high + low, both signed.
.macro lay_a16
    mov z1.d, z0.d
    add z1.h, z1.h, #128
    uzp1 z0.b, z0.b, z0.b
    uzp2 z1.b, z1.b, z1.b
    tbl z0.s, {z0.s}, z29.s
    tbl z1.s, {z1.s}, z29.s
.endm
.macro by_a16 w, place, a, b, t, u, i, p
    ld1w {\t\().s}, \p/z, [\w, #\i, mul vl]
    sdot \a\().s, \t\().b, z0.b[\i]
    sdot \b\().s, \t\().b, z1.b[\i]
.endm

.macro halves w, t, u, i, p
    ld1w {\t\().s}, \p/z, [\w, #\i, mul vl]
    lsr \u\().b, \t\().b, #4
    and \t\().b, \t\().b, #15
.endm

.macro lay_w4a8
    tbl z1.s, {z0.s}, z29.s
    tbl z0.s, {z0.s}, z28.s
.endm
.macro by_w4a8 w, place, a, b, t, u, i, p
    halves \w, \t, \u, \i, \p
    sdot \a\().s, \t\().b, z0.b[\i]
    sdot \b\().s, \u\().b, z1.b[\i]
.endm

.macro load_two p, q
    ld1b {z0.b}, \p/z, [x12]
    ld1b {z1.b}, \q/z, [x12, #1, mul vl]
.endm
.macro lay_w4a16
    uzp1 z2.b, z0.b, z1.b
    add z0.h, z0.h, #128
    add z1.h, z1.h, #128
    uzp2 z3.b, z0.b, z1.b
    tbl z0.s, {z2.s}, z28.s
    tbl z1.s, {z2.s}, z29.s
    tbl z2.s, {z3.s}, z28.s
    tbl z3.s, {z3.s}, z29.s
.endm
.macro by_w4a16 w, place, a, b, t, u, i, p
    halves \w, \t, \u, \i, \p
    sdot \a\().s, \t\().b, z0.b[\i]
    sdot \b\().s, \t\().b, z2.b[\i]
    sdot \a\().s, \u\().b, z1.b[\i]
    sdot \b\().s, \u\().b, z3.b[\i]
.endm

// So many panels, from their sums to their sums. `size` is the logarithm of a block's bytes of input.
.macro some count, load, lay, by, merge, add, size, registers, start:vararg
    mov x8, x1
    add x1, x1, x16
    .if \count > 1
    mov x9, x1
    add x1, x1, x16
    .endif
    .if \count > 2
    mov x10, x1
    add x1, x1, x16
    .endif
    .if \count > 3
    mov x11, x1
    add x1, x1, x16
    .endif
    each \count, load_sums
    .ifnb \start
    each \count, \start
    .endif
    mov x12, x2
    subs x13, x3, x14
    b.lt 2f
1:
    \load p2, p0
    \lay
    .irp i, 0, 1, 2, 3
    each \count, \by, \i, p0
    .endr
    each \count, advance, \registers
    add x12, x12, x14, lsl #\size
    subs x13, x13, x14
    b.ge 1b
2:
    adds x13, x13, x14
    b.eq 3f
    lsl x15, x13, #\size
    whilelt p3.b, xzr, x15
    .if \size == 4
    decb x15
    whilelt p4.b, xzr, x15
    .endif
    \load p3, p4
    \lay
    lsl x13, x13, #3
    .irp i, 0, 1, 2, 3
    whilelt p3.s, xzr, x13
    b.none 3f
    each \count, \by, \i, p3
    decw x13
    .endr
3:
    each \count, \merge
    cbz x17, 5f
    each \count, copy
    mov x15, x17
4:
    each \count, next_panel
    each \count, \add
    subs x15, x15, #1
    b.ne 4b
5:
    each \count, store_sums
.endm

.macro function name, load, lay, by, merge, add, size, registers, start:vararg
    lsl x15, x14, #\size
    whilelt p2.b, xzr, x15
    index z30.s, #8, #1
    mov x5, #8
    mov x6, #16
    mov x7, #24
    b 7f
6:
    some 4, \load, \lay, \by, \merge, \add, \size, \registers, \start
    add x0, x0, #128
7:
    subs x4, x4, #4
    b.ge 6b
    .irp count, 3, 2, 1
    cmn x4, #4 - \count
    b.ne 8f
    some \count, \load, \lay, \by, \merge, \add, \size, \registers, \start
    ret
8:
    .endr
    end \name
.endm

    begin a8
    function a8, load_one, lay_words, by_a8, add_int, add_int, 2, 4

    begin a16
    function a16, load_one, lay_a16, by_a16, add_high, add_int, 3, 4

    begin w4a8
    pairs
    function w4a8, load_one, lay_w4a8, by_w4a8, add_int, add_int, 3, 4, take_offset

    begin w4a16
    pairs
    function w4a16, load_two, lay_w4a16, by_w4a16, add_high, add_int, 4, 4, take_offset

    begin f32
    function f32, load_one, lay_words, by_f32, add_float, add_float, 2, 4

    begin f16
    lsr x16, x16, #1
    function f16, load_one, lay_words, by_f16, add_float, add_float, 2, 2

// Updates, a panel of units at a time: x0 cells or states, x1 outputs, x2 gates, x3 panels, x4 and x5 entries of sigmoid and of tanh, x6 bits,
// x7 the cell's shift; x8 to x10 the other gates. z16 bits, z17 the other bits of 16, z18 to z23 what else is constant.

.macro constants
    // An argument of 32 bits may have others above them.
    mov w6, w6
    mov z16.d, x6
    mov w8, #16
    sub w8, w8, w6
    mov z17.d, x8
    mov x8, #8
    mov x9, #16
    mov x10, #24
    mov w11, #0x7fff
    mov z22.s, w11
    mov w11, #-0x8000
    mov z23.s, w11
.endm

// Interpolated, in Q31, of 16 bits with zeros above them.
.macro lookup y, z, entries
    lsr z24.s, \z\().s, z17.d
    ld1w {\y\().s}, p1/z, [\entries, z24.s, uxtw #2]
    lsl z25.s, \z\().s, z16.d
    uxth z25.s, p1/m, z25.s
    sxth z24.s, p1/m, \y\().s
    mla \y\().s, p1/m, z24.s, z25.s
.endm

// a = (a b + 2^31) >> 32.
.macro mulhi_round a, b
    movprfx z24, \a
    mul z24.s, p1/m, z24.s, \b\().s
    smulh \a\().s, p1/m, \a\().s, \b\().s
    lsr z24.s, z24.s, #31
    add \a\().s, \a\().s, z24.s
.endm

// To 16 bits, for a look-up.
.macro saturate16 z
    smin \z\().s, p1/m, \z\().s, z22.s
    smax \z\().s, p1/m, \z\().s, z23.s
    uxth \z\().s, p1/m, \z\().s
.endm

    entry lstm
    constants
    add w11, w7, #3
    mov z18.d, x11
    mov w11, #15
    sub w11, w11, w7
    mov z19.d, x11
    mov w11, #0x3fffffff
    mov z20.s, w11
    mov w11, #-0x40000000
    mov z21.s, w11
    mov w11, #1 << 17
    mov z26.s, w11
1:
    ld1h {z0.s}, p1/z, [x2]
    ld1h {z1.s}, p1/z, [x2, x8, lsl #1]
    ld1h {z2.s}, p1/z, [x2, x9, lsl #1]
    ld1h {z3.s}, p1/z, [x2, x10, lsl #1]
    ld1w {z4.s}, p1/z, [x0]
    lookup z5, z0, x4
    lookup z6, z1, x4
    lookup z7, z2, x5
    lookup z27, z3, x4
    mulhi_round z4, z6
    add z4.s, z4.s, z4.s
    mulhi_round z5, z7
    asr z5.s, z5.s, z18.d
    add z4.s, z4.s, z5.s
    smin z4.s, p1/m, z4.s, z20.s
    smax z4.s, p1/m, z4.s, z21.s
    st1w {z4.s}, p1, [x0]
    asr z0.s, z4.s, z19.d
    saturate16 z0
    lookup z1, z0, x5
    mulhi_round z1, z27
    add z1.s, z1.s, z26.s
    asr z1.s, z1.s, #18
    st1h {z1.s}, p1, [x1]
    add x0, x0, #32
    add x1, x1, #16
    add x2, x2, #64
    subs x3, x3, #1
    b.ne 1b
    end lstm

    entry gru
    constants
    mov w11, #1 << 14
    mov z18.s, w11
1:
    ld1sh {z0.s}, p1/z, [x2]
    ld1h {z1.s}, p1/z, [x2, x8, lsl #1]
    ld1h {z2.s}, p1/z, [x2, x9, lsl #1]
    ld1sh {z3.s}, p1/z, [x2, x10, lsl #1]
    ld1w {z4.s}, p1/z, [x0]
    lookup z5, z1, x4
    asr z5.s, z5.s, #16
    mul z5.s, p1/m, z5.s, z3.s
    add z5.s, z5.s, z18.s
    asr z5.s, z5.s, #15
    add z5.s, z5.s, z0.s
    saturate16 z5
    lookup z6, z5, x5
    asr z6.s, z6.s, #2
    lookup z7, z2, x4
    sub z4.s, z4.s, z6.s
    mulhi_round z4, z7
    add z4.s, z4.s, z4.s
    add z4.s, z4.s, z6.s
    st1w {z4.s}, p1, [x0]
    add x0, x0, #32
    add x2, x2, #64
    subs x3, x3, #1
    b.ne 1b
    end gru

    // x0 to, x1 from, x2 panels, x3 entries, w4 bits.
    entry curve
    mov w6, w4
    constants
1:
    ld1h {z0.s}, p1/z, [x1]
    lookup z1, z0, x3
    st1w {z1.s}, p1, [x0]
    add x0, x0, #32
    add x1, x1, #16
    subs x2, x2, #1
    b.ne 1b
    end curve

// Updates in floats: x0 cells or states, x1 outputs, x2 gates, x3 panels, x4 the numbers of tanh; x8 to x10 the other gates.
// z16 and z17 bounds, z18 to z24 numerator, z25 to z28 denominator, z29 a half.

.macro numbers
    ld1rw {z17.s}, p1/z, [x4]
    fneg z16.s, p1/m, z17.s
    ld1rw {z18.s}, p1/z, [x4, #4]
    ld1rw {z19.s}, p1/z, [x4, #8]
    ld1rw {z20.s}, p1/z, [x4, #12]
    ld1rw {z21.s}, p1/z, [x4, #16]
    ld1rw {z22.s}, p1/z, [x4, #20]
    ld1rw {z23.s}, p1/z, [x4, #24]
    ld1rw {z24.s}, p1/z, [x4, #28]
    ld1rw {z25.s}, p1/z, [x4, #32]
    ld1rw {z26.s}, p1/z, [x4, #36]
    ld1rw {z27.s}, p1/z, [x4, #40]
    ld1rw {z28.s}, p1/z, [x4, #44]
    fmov z29.s, #0.5
    mov x8, #8
    mov x9, #16
    mov x10, #24
.endm

.macro gates
    ld1w {z0.s}, p1/z, [x2]
    ld1w {z1.s}, p1/z, [x2, x8, lsl #2]
    ld1w {z2.s}, p1/z, [x2, x9, lsl #2]
    ld1w {z3.s}, p1/z, [x2, x10, lsl #2]
    ld1w {z4.s}, p1/z, [x0]
.endm

// As in `num::float`, by Horner's rule in fused steps.
.macro tanh x
    fmin \x\().s, p1/m, \x\().s, z17.s
    fmax \x\().s, p1/m, \x\().s, z16.s
    fmul z5.s, \x\().s, \x\().s
    movprfx z6, z24
    fmad z6.s, p1/m, z5.s, z23.s
    fmad z6.s, p1/m, z5.s, z22.s
    fmad z6.s, p1/m, z5.s, z21.s
    fmad z6.s, p1/m, z5.s, z20.s
    fmad z6.s, p1/m, z5.s, z19.s
    fmad z6.s, p1/m, z5.s, z18.s
    movprfx z7, z28
    fmad z7.s, p1/m, z5.s, z27.s
    fmad z7.s, p1/m, z5.s, z26.s
    fmad z7.s, p1/m, z5.s, z25.s
    fmul \x\().s, \x\().s, z6.s
    fdiv \x\().s, p1/m, \x\().s, z7.s
.endm

.macro sigmoid x
    fmul \x\().s, \x\().s, z29.s
    tanh \x
    fmad \x\().s, p1/m, z29.s, z29.s
.endm

    entry lstm_f
    numbers
1:
    gates
    sigmoid z0
    sigmoid z1
    tanh z2
    fmul z4.s, z4.s, z1.s
    fmla z4.s, p1/m, z0.s, z2.s
    st1w {z4.s}, p1, [x0]
    sigmoid z3
    tanh z4
    fmul z4.s, z4.s, z3.s
    st1w {z4.s}, p1, [x1]
    add x0, x0, #32
    add x1, x1, #32
    add x2, x2, #128
    subs x3, x3, #1
    b.ne 1b
    end lstm_f

    entry gru_f
    numbers
1:
    gates
    sigmoid z1
    fmla z0.s, p1/m, z1.s, z3.s
    tanh z0
    sigmoid z2
    fsub z4.s, z4.s, z0.s
    fmla z0.s, p1/m, z2.s, z4.s
    st1w {z0.s}, p1, [x1]
    add x0, x0, #32
    add x1, x1, #32
    add x2, x2, #128
    subs x3, x3, #1
    b.ne 1b
    end gru_f

    // x0 both from and to, x1 panels, x2 the numbers.
.irp curve, tanh, sigmoid
    entry \curve
    mov x4, x2
    numbers
1:
    ld1w {z0.s}, p1/z, [x0]
    \curve z0
    st1w {z0.s}, p1, [x0]
    add x0, x0, #32
    subs x1, x1, #1
    b.ne 1b
    end \curve
.endr

.irp name, entry, end, begin, pairs, each, load_sums, take_offset, store_sums, advance, add_int, add_float, add_high, copy, next_panel, halves, some, function, constants, lookup, mulhi_round, saturate16
.purgem \name
.endr
.irp name, numbers, gates, tanh, sigmoid
.purgem \name
.endr
.irp name, load_one, lay_words, by_turns, by_a8, by_f32, by_f16, lay_a16, by_a16, lay_w4a8, by_w4a8, load_two, lay_w4a16, by_w4a16
.purgem \name
.endr
