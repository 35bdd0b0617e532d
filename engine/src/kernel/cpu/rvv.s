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
    load \sum, \w, \upper, \at
    four \sum, \w, \upper, \at, \room, v20
.endm

.macro four sum, w, upper, at, room, odd
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
    .if \weights == 8 || !\narrow
    each \count, \narrow, load
    .endif
    inputs \narrow, \weights, \x
    addi t6, t6, -1
    .if \weights == 8
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

# Panels in a4 by a macro that takes how many, four at a time and then the others.
.macro by_four what, arguments:vararg
2:
    li t0, 4
    bltu a4, t0, 3f
    \what 4, \arguments
    addi a4, a4, -4
    j 2b
3:
    li t0, 2
    bltu a4, t0, 4f
    beq a4, t0, 3f
    \what 3, \arguments
    ret
3:
    \what 2, \arguments
    ret
4:
    beqz a4, 4f
    \what 1, \arguments
4:
    ret
.endm

.macro by_two what, arguments:vararg
    li t0, 2
2:
    bltu a4, t0, 3f
    \what 2, \arguments
    li t0, 2
    addi a4, a4, -2
    j 2b
3:
    beqz a4, 3f
    \what 1, \arguments
3:
    ret
.endm

.macro product name, weights, x
    function \name
    slli a5, a3, 5
    li a7, 32
    .if \weights == 4
    offset \x
    .endif
    csrr t0, vlenb
    bltu t0, a7, 5f
    by_four panels, 0, \weights, \x
5:
    by_two panels, 1, \weights, \x
    done \name
.endm

# A macro for each of so many panels of floats: with its sums, its weights, those of 16 bits, and its place.
.macro each_float count, what
    \what v2, v10, v18, t1
    .if \count > 1
    \what v4, v12, v19, t2
    .endif
    .if \count > 2
    \what v6, v14, v20, t3
    .endif
    .if \count > 3
    \what v8, v16, v21, t4
    .endif
.endm

.macro load_sums sum, w, half, at
    vle32.v \sum, (t0)
    addi t0, t0, 32
.endm

.macro store_sums sum, w, half, at
    vse32.v \sum, (a0)
    addi a0, a0, 32
.endm

.macro load_32 sum, w, half, at
    vle32.v \w, (\at)
    addi \at, \at, 32
.endm

.macro load_16 sum, w, half, at
    vle16.v \half, (\at)
    addi \at, \at, 16
.endm

# An exponent moves by the difference of the biases when the number is multiplied by 2^112, subnormal or not; that of an
# infinity or a NaN becomes what it is there.
.macro widen_16 sum, w, half, at
    vsext.vf2 \w, \half
    vsll.vi \w, \w, 13
    vand.vx \w, \w, a6
    vand.vx v22, \w, a7
    vmseq.vx v0, v22, a7
    vfmul.vf \w, \w, ft1
    vor.vx \w, \w, t6, v0.t
.endm

.macro multiply_float sum, w, half, at
    vfmacc.vf \sum, ft0, \w
.endm

# The product of so many panels of floats.
.macro floats count, narrow, bits
    mv t0, a0
    each_float \count, load_sums
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
    slli t0, a3, 2
    add t0, t0, a2
1:
    flw ft0, (t5)
    addi t5, t5, 4
    each_float \count, load_\bits
    .if \bits == 16
    each_float \count, widen_16
    .endif
    each_float \count, multiply_float
    bne t5, t0, 1b
    each_float \count, store_sums
    mv a1, t\count
.endm

.macro float_product bits
    function f\bits
    .if \bits == 16
    slli a5, a3, 4
    li a6, 0x8fffe000
    li a7, 0x0f800000
    li t6, 0x7f800000
    li t0, 0x77800000
    fmv.w.x ft1, t0
    .else
    slli a5, a3, 5
    .endif
    csrr t0, vlenb
    li t1, 32
    bltu t0, t1, 5f
    vsetivli zero, 8, e32, m1, ta, mu
    by_four floats, 0, \bits
5:
    vsetivli zero, 8, e32, m2, ta, mu
    by_four floats, 1, \bits
    done f\bits
.endm

# Numbers of a panel.
.macro halves narrow
    type_of_few \narrow, 8, e16, m1, mf2
.endm

.macro words narrow
    type_of_few \narrow, 8, e32, m2, m1
.endm

# Where the entries of z are, from their table's first on.
.macro index at, z, shift
    vsrl.vx \at, \z, \shift
    vsll.vi \at, \at, 2
.endm

# The table's value of z in Q31 from its entry.
.macro interpolate entry, z, bits, delta
    vnsrl.wi \delta, \entry, 0
    vsll.vx \z, \z, \bits
    vwmaccsu.vv \entry, \delta, \z
.endm

# The rounded high half of a product; 32 is in `high`.
.macro mulhi result, a, b, high
    vwmul.vv v20, \a, \b
    vnclip.wx \result, v20, \high
.endm

.macro load_gates from
    vle16.v v0, (\from)
    addi t6, \from, 16
    vle16.v v1, (t6)
    addi t6, \from, 32
    vle16.v v2, (t6)
    addi t6, \from, 48
    vle16.v v3, (t6)
    addi \from, \from, 64
.endm

.macro lstm narrow
1:
    halves \narrow
    load_gates a2
    index v4, v0, t0
    index v5, v1, t0
    index v6, v2, t0
    index v7, v3, t0
    words \narrow
    vluxei16.v v8, (a4), v4
    vluxei16.v v10, (a4), v5
    vluxei16.v v12, (a5), v6
    vluxei16.v v14, (a4), v7
    vle32.v v16, (a0)
    halves \narrow
    interpolate v8, v0, a6, v4
    interpolate v10, v1, a6, v5
    interpolate v12, v2, a6, v6
    interpolate v14, v3, a6, v7
    words \narrow
    mulhi v16, v10, v16, t5
    vsll.vi v16, v16, 1
    mulhi v8, v8, v12, t5
    vsra.vx v8, v8, t1
    vadd.vv v16, v16, v8
    vmin.vx v16, v16, t3
    vmax.vx v16, v16, t4
    vse32.v v16, (a0)
    addi a0, a0, 32
    vsra.vx v8, v16, t2
    halves \narrow
    vnclip.wi v0, v8, 0
    index v4, v0, t0
    words \narrow
    vluxei16.v v8, (a5), v4
    halves \narrow
    interpolate v8, v0, a6, v4
    words \narrow
    mulhi v8, v14, v8, t5
    halves \narrow
    vnclip.wi v0, v8, 18
    vse16.v v0, (a1)
    addi a1, a1, 16
    addi a3, a3, -1
    bnez a3, 1b
.endm

.macro gru narrow
1:
    halves \narrow
    load_gates a1
    index v4, v1, t0
    index v5, v2, t0
    words \narrow
    vluxei16.v v8, (a3), v4
    vluxei16.v v10, (a3), v5
    vle32.v v16, (a0)
    halves \narrow
    interpolate v8, v1, a5, v4
    interpolate v10, v2, a5, v5
    # A gate is not negative, so that no product saturates.
    vnsrl.wi v4, v8, 16
    vsmul.vv v4, v4, v3
    vsadd.vv v0, v0, v4
    index v4, v0, t0
    words \narrow
    vluxei16.v v12, (a4), v4
    halves \narrow
    interpolate v12, v0, a5, v4
    words \narrow
    vsra.vi v12, v12, 2
    vsub.vv v16, v16, v12
    mulhi v16, v10, v16, t5
    vsll.vi v16, v16, 1
    vadd.vv v16, v16, v12
    vse32.v v16, (a0)
    addi a0, a0, 32
    addi a2, a2, -1
    bnez a2, 1b
.endm

# The numbers of tanh at `from`, highest powers first, and a half.
.macro constants from
    .irp at, 0, 1, 2, 3, 4, 5, 6
    flw fa\at, 28-4*\at(\from)
    .endr
    flw ft2, 44(\from)
    flw ft3, 40(\from)
    flw ft4, 36(\from)
    flw ft5, 32(\from)
    flw ft0, (\from)
    li t0, 0x3f000000
    fmv.w.x ft6, t0
    fneg.s ft1, ft0
.endm

# As the definition has it, operation by operation; no comparison moves what is no number.
.macro tanh x
    vmfgt.vf v0, \x, ft0
    vfmerge.vfm \x, \x, ft0, v0
    vmflt.vf v0, \x, ft1
    vfmerge.vfm \x, \x, ft1, v0
    vfmul.vv v10, \x, \x
    vfmul.vf v12, v10, fa0
    vfmul.vf v14, v10, ft2
    .irp constant, fa1, fa2, fa3, fa4, fa5
    vfadd.vf v12, v12, \constant
    vfmul.vv v12, v12, v10
    .endr
    .irp constant, ft3, ft4
    vfadd.vf v14, v14, \constant
    vfmul.vv v14, v14, v10
    .endr
    vfadd.vf v12, v12, fa6
    vfadd.vf v14, v14, ft5
    vfmul.vv \x, \x, v12
    vfdiv.vv \x, \x, v14
.endm

.macro sigmoid x
    vfmul.vf \x, \x, ft6
    tanh \x
    vfmul.vf \x, \x, ft6
    vfadd.vf \x, \x, ft6
.endm

.macro curve_f name
    function \name\()_f
    constants a2
1:
    vsetvli t0, a1, e32, m2, ta, ma
    vle32.v v2, (a0)
    \name v2
    vse32.v v2, (a0)
    sub a1, a1, t0
    slli t0, t0, 2
    add a0, a0, t0
    bnez a1, 1b
    ret
    done \name\()_f
.endm

# Gates of floats in v2, v4, v6, v8.
.macro load_gates_f from
    vle32.v v2, (\from)
    addi t0, \from, 32
    vle32.v v4, (t0)
    addi t0, \from, 64
    vle32.v v6, (t0)
    addi t0, \from, 96
    vle32.v v8, (t0)
    addi \from, \from, 128
.endm

.macro lstm_f
1:
    load_gates_f a2
    vle32.v v16, (a0)
    sigmoid v2
    sigmoid v4
    tanh v6
    sigmoid v8
    vfmul.vv v16, v4, v16
    vfmul.vv v2, v2, v6
    vfadd.vv v16, v16, v2
    vse32.v v16, (a0)
    addi a0, a0, 32
    tanh v16
    vfmul.vv v16, v8, v16
    vse32.v v16, (a1)
    addi a1, a1, 32
    addi a3, a3, -1
    bnez a3, 1b
.endm

.macro gru_f
1:
    load_gates_f a2
    vle32.v v16, (a1)
    addi a1, a1, 32
    sigmoid v4
    vfmul.vv v4, v4, v8
    vfadd.vv v2, v2, v4
    tanh v2
    sigmoid v6
    vfsub.vv v16, v16, v2
    vfmul.vv v16, v6, v16
    vfadd.vv v16, v2, v16
    vse32.v v16, (a0)
    addi a0, a0, 32
    addi a3, a3, -1
    bnez a3, 1b
.endm

.macro update_f name
    function \name
    beqz a3, 6f
    constants a4
    csrr t0, vlenb
    li t1, 32
    bltu t0, t1, 5f
    vsetivli zero, 8, e32, m1, ta, ma
    \name
    ret
5:
    vsetivli zero, 8, e32, m2, ta, ma
    \name
6:
    ret
    done \name
.endm

# Everything that rounds does so half up.
.macro update name, count, bits
    function \name
    beqz \count, 6f
    csrwi vxrm, 0
    li t0, 16
    sub t0, t0, \bits
    li t5, 32
    .ifc \name, lstm
    addi t1, a7, 3
    li t2, 15
    sub t2, t2, a7
    li t4, -0x40000000
    not t3, t4
    .endif
    csrr t6, vlenb
    bltu t6, t5, 5f
    \name 0
    ret
5:
    \name 1
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

    float_product 32
    float_product 16

    function requant
    csrwi vxrm, 0
    li a5, 32
1:
    vsetvli t0, a3, e32, m4, ta, ma
    vle32.v v0, (a1)
    vle32.v v4, (a2)
    sub a3, a3, t0
    slli t0, t0, 1
    vsll.vx v0, v0, a4
    vwmul.vv v8, v0, v4
    vnclip.wx v0, v8, a5
    vsetvli zero, zero, e16, m2, ta, ma
    vnclip.wi v4, v0, 0
    vse16.v v4, (a0)
    add a0, a0, t0
    slli t0, t0, 1
    add a1, a1, t0
    add a2, a2, t0
    bnez a3, 1b
    ret
    done requant

    function curve
    li t1, 16
    sub t1, t1, a4
1:
    vsetvli t0, a2, e16, m2, ta, ma
    vle16.v v0, (a1)
    sub a2, a2, t0
    slli t0, t0, 1
    add a1, a1, t0
    index v2, v0, t1
    vsetvli zero, zero, e32, m4, ta, ma
    vluxei16.v v8, (a3), v2
    vsetvli zero, zero, e16, m2, ta, ma
    interpolate v8, v0, a4, v2
    vsetvli zero, zero, e32, m4, ta, ma
    vse32.v v8, (a0)
    slli t0, t0, 1
    add a0, a0, t0
    bnez a2, 1b
    ret
    done curve

    # As `LayerState::publish_master`: the sum wraps.
    function outputs
    li a4, 0x10000
1:
    vsetvli t0, a2, e32, m4, ta, ma
    vle32.v v0, (a1)
    sub a2, a2, t0
    slli t0, t0, 1
    vadd.vx v0, v0, a4
    vsetvli zero, zero, e16, m2, ta, ma
    vnsra.wi v4, v0, 17
    vse16.v v4, (a0)
    add a0, a0, t0
    slli t0, t0, 1
    add a1, a1, t0
    bnez a2, 1b
    ret
    done outputs

    function narrow
    csrwi vxrm, 0
1:
    vsetvli t0, a2, e8, m2, ta, ma
    vle16.v v0, (a1)
    sub a2, a2, t0
    vnclip.wi v4, v0, 5
    vse8.v v4, (a0)
    add a0, a0, t0
    slli t0, t0, 1
    add a1, a1, t0
    bnez a2, 1b
    ret
    done narrow

    update lstm, a3, a6
    update gru, a2, a5

    curve_f tanh
    curve_f sigmoid
    update_f lstm_f
    update_f gru_f

.irp name, function, done, type, type_of_few, each, clear, load, widen, multiply, multiply_wide_4, multiply_narrow_4, four, halve
.purgem \name
.endr
.irp name, add_to_sums, add_to_sums_4, inputs, repeat, extend, panels, offset, by_four, by_two, product
.purgem \name
.endr
.irp name, each_float, load_sums, store_sums, load_32, load_16, widen_16, multiply_float, floats, float_product
.purgem \name
.endr
.irp name, halves, words, index, interpolate, mulhi, load_gates, lstm, gru, update
.purgem \name
.endr
.irp name, constants, tanh, sigmoid, curve_f, load_gates_f, lstm_f, gru_f, update_f
.purgem \name
.endr
