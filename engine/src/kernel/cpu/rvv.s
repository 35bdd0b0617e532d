# The functions of `rvv.rs`; what they are given is described there. Macros are taken back at the end, because a program has
# one space of their names.
#
# A vector is a block of weights, 32 lanes whatever the length of the registers: in registers of 128 bits (`narrow`) it fills
# two of bytes, four of halves and eight of words, in longer ones one, two and four.

.macro function name
    .pushsection .text.kinglet_rvv_\name, "ax", %progbits
    .balign 4
    .global kinglet_rvv_\name
    .hidden kinglet_rvv_\name
    .type kinglet_rvv_\name, %function
kinglet_rvv_\name:
.endm

.macro done name
    .size kinglet_rvv_\name, . - kinglet_rvv_\name
    .popsection
.endm

# The type of `lanes` numbers, of which as many registers hold `narrow` or `wide` groups.
.macro type narrow, lanes, bits, narrow_group, wide_group
    .if \narrow
    vsetvli zero, \lanes, \bits, \narrow_group, ta, ma
    .else
    vsetvli zero, \lanes, \bits, \wide_group, ta, ma
    .endif
.endm

.macro type_of_few narrow, lanes, bits, narrow_group, wide_group
    .if \narrow
    vsetivli zero, \lanes, \bits, \narrow_group, ta, ma
    .else
    vsetivli zero, \lanes, \bits, \wide_group, ta, ma
    .endif
.endm

# A macro for each of so many panels: with its sums, its weights, the upper half of these, its place, and room.
.macro each count, narrow, what
    .if \narrow
    \what v0, v24, v26, t1, v28
    .if \count > 1
    \what v8, v28, v30, t2, v24
    .endif
    .else
    \what v0, v20, v21, t1, v28
    .if \count > 1
    \what v4, v22, v23, t2, v30
    .endif
    .if \count > 2
    \what v8, v24, v25, t3, v28
    .endif
    .if \count > 3
    \what v12, v26, v27, t4, v30
    .endif
    .endif
.endm

.macro clear sum, w, upper, at, room
    vmv.v.i \sum, 0
.endm

.macro load sum, w, upper, at, room
    vle8.v \upper, (\at)
    add \at, \at, a7
.endm

.macro widen sum, w, upper, at, room
    vsext.vf2 \w, \upper
.endm

.macro multiply sum, w, upper, at, room
    vwmacc.vv \sum, \w, v16
.endm

# Two blocks of weights of four bits, the inputs of the second one in `odd`.
.macro multiply_wide_4 sum, w, upper, at, room
    four \sum, \w, \upper, \at, \room, v18
.endm

.macro multiply_narrow_4 sum, w, upper, at, room
    four \sum, \w, \upper, \at, \room, v20
.endm

.macro four sum, w, upper, at, room, odd
    load \sum, \w, \upper, \at
    vzext.vf2 \w, \upper
    vsrl.vi \room, \w, 4
    vand.vi \w, \w, 15
    vwmacc.vv \sum, \room, \odd
    vwmacc.vv \sum, \w, v16
.endm

# Half as many sums: of neighbours.
.macro halve sum, w, upper, at, room
    vnsrl.wx \w, \sum, a7
    vnsrl.wi \sum, \sum, 0
    vadd.vv \sum, \sum, \w
.endm

.macro add_to_sums sum, w, upper, at, room
    vle32.v \w, (a0)
    vadd.vv \sum, \sum, \w
    vse32.v \sum, (a0)
    add a0, a0, a7
.endm

.macro add_to_sums_4 sum, w, upper, at, room
    vle32.v \w, (a0)
    vsub.vx \sum, \sum, a6
    vadd.vv \sum, \sum, \w
    vse32.v \sum, (a0)
    add a0, a0, a7
.endm

# The next inputs as halves, four for each row: those of a block in v16, those of a second one in `odd`. They are loaded
# number by number, because they may lie anywhere.
.macro inputs narrow, weights, x
    .if \weights == 4
    vsetivli zero, 8, e\x, m1, ta, ma
    .else
    vsetivli zero, 4, e\x, m1, ta, ma
    .endif
    vle\x\().v v28, (t5)
    addi t5, t5, \x/2*8/\weights
    .if \x == 8
    type_of_few \narrow, 8, e32, m2, m1
    .if \narrow
    repeat \weights, v18, v22
    .else
    repeat \weights, v17, v19
    .endif
    type \narrow, a7, e16, m4, m2
    .if \narrow
    extend \weights, v20, v18, v22
    .else
    extend \weights, v18, v17, v19
    .endif
    .else
    type_of_few \narrow, 8, e64, m4, m2
    .if \narrow
    repeat \weights, v16, v20
    .else
    repeat \weights, v16, v18
    .endif
    type \narrow, a7, e16, m4, m2
    .endif
.endm

.macro repeat weights, even, odd
    vrgather.vi \even, v28, 0
    .if \weights == 4
    vrgather.vi \odd, v28, 1
    .endif
.endm

.macro extend weights, odd, even_bytes, odd_bytes
    vsext.vf2 v16, \even_bytes
    .if \weights == 4
    vsext.vf2 \odd, \odd_bytes
    .endif
.endm

# The product of so many panels.
.macro panels count, narrow, weights, x
    type \narrow, a7, e32, m8, m4
    each \count, \narrow, clear
    mv t1, a1
    .if \count > 1
    add t2, t1, a5
    .endif
    .if \count > 2
    add t3, t2, a5
    .endif
    .if \count > 3
    add t4, t3, a5
    .endif
    mv t5, a2
    mv t6, a3
1:
    inputs \narrow, \weights, \x
    addi t6, t6, -1
    .if \weights == 8
    each \count, \narrow, load
    each \count, \narrow, widen
    each \count, \narrow, multiply
    .elseif \narrow
    each \count, \narrow, multiply_narrow_4
    .else
    each \count, \narrow, multiply_wide_4
    .endif
    bnez t6, 1b
    type_of_few \narrow, 16, e32, m4, m2
    each \count, \narrow, halve
    type_of_few \narrow, 8, e32, m2, m1
    each \count, \narrow, halve
    .if \weights == 8
    each \count, \narrow, add_to_sums
    .else
    each \count, \narrow, add_to_sums_4
    .endif
    # The last place is where the next panel begins.
    mv a1, t\count
.endm

# Eight times the sum of the inputs, in a6.
.macro offset x
    vsetivli zero, 1, e32, m1, ta, ma
    vmv.s.x v8, zero
    mv t1, a2
    slli t2, a3, 3
1:
    vsetvli t0, t2, e16, m4, ta, ma
    .if \x == 8
    vle8.v v2, (t1)
    vsext.vf2 v0, v2
    .else
    vle16.v v0, (t1)
    add t1, t1, t0
    .endif
    add t1, t1, t0
    sub t2, t2, t0
    vwredsum.vs v8, v0, v8
    bnez t2, 1b
    vsetivli zero, 1, e32, m1, ta, ma
    vmv.x.s a6, v8
    slli a6, a6, 3
.endm

# Sums at a0, panels at a1 one after the other, inputs at a2, vectors of a panel in a3, panels in a4.
.macro product name, weights, x
    function \name
    slli a5, a3, 5
    li a7, 32
    .if \weights == 4
    offset \x
    .endif
    csrr t0, vlenb
    bltu t0, a7, 5f
    li t0, 4
2:
    bltu a4, t0, 3f
    panels 4, 0, \weights, \x
    addi a4, a4, -4
    li t0, 4
    j 2b
3:
    li t0, 2
    bltu a4, t0, 4f
    beq a4, t0, 3f
    panels 3, 0, \weights, \x
    ret
3:
    panels 2, 0, \weights, \x
    ret
4:
    beqz a4, 4f
    panels 1, 0, \weights, \x
4:
    ret
5:
    li t0, 2
    bltu a4, t0, 6f
    panels 2, 1, \weights, \x
    addi a4, a4, -2
    j 5b
6:
    beqz a4, 6f
    panels 1, 1, \weights, \x
6:
    ret
    done \name
.endm

    # Versions before 1.0 take no such type, and have no lanes then.
    function bytes
    vsetvli a0, zero, e8, m1, ta, ma
    ret
    done bytes

    product i8_a8, 8, 8
    product i8_a16, 8, 16
    product i4_a8, 4, 8
    product i4_a16, 4, 16

.irp name, function, done, type, type_of_few, each, clear, load, widen, multiply, multiply_wide_4, multiply_narrow_4, four, halve
.purgem \name
.endr
.irp name, add_to_sums, add_to_sums_4, inputs, repeat, extend, panels, offset, product
.purgem \name
.endr
