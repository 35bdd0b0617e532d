@ The functions of `armv6m.rs`; registers are described there. Macros are taken back at the end, because a program has
@ one space of their names.

.syntax unified

.macro begin name
    .pushsection .text.kinglet_\name, "ax", %progbits
    .balign 2
    .global kinglet_\name
    .hidden kinglet_\name
    .type kinglet_\name, %function
    .thumb_func
kinglet_\name:
.endm

.macro end name
    .size kinglet_\name, . - kinglet_\name
    .popsection
.endm

@ A column of a row. Signed bytes are loaded with an offset in a register.
.macro row byte, column, row, sum
    .ifc \byte, i8
    movs r3, #4*\row+\column
    ldrsb r3, [r1, r3]
    .else
    ldrb r3, [r1, #4*\row+\column]
    .endif
    muls r3, r0, r3
    add \sum, r3
.endm

.macro column byte, load, column
    \load r0, [r2, r4]
    row \byte, \column, 0, r8
    row \byte, \column, 1, r9
    row \byte, \column, 2, r10
    row \byte, \column, 3, r11
    row \byte, \column, 4, r12
    row \byte, \column, 5, r5
    row \byte, \column, 6, r6
    row \byte, \column, 7, r7
.endm

@ A panel's product with inputs of so many bytes.
.macro panel name, byte, load, size
    begin \name
    push {r0, r6, r7, lr}
    ldm r0!, {r3, r5, r6, r7}
    mov r8, r3
    mov r9, r5
    mov r10, r6
    mov r11, r7
    ldm r0!, {r3, r5, r6, r7}
    mov r12, r3
2:
    column \byte, \load, 0
    adds r4, #\size
    column \byte, \load, 1
    adds r4, #\size
    column \byte, \load, 2
    adds r4, #\size
    column \byte, \load, 3
    adds r1, #32
    adds r4, #\size
    @ Too far away for a condition where weights take two instructions.
    .ifc \byte, i8
    beq 3f
    b 2b
3:
    .else
    bne 2b
    .endif
    pop {r0}
    mov r2, r8
    mov r3, r9
    mov r4, r10
    stm r0!, {r2, r3, r4}
    mov r2, r11
    mov r3, r12
    stm r0!, {r2, r3, r5, r6, r7}
    pop {r6, r7, pc}
    end \name
.endm

panel i8_a8, i8, ldrsb, 1
panel i8_a16, i8, ldrsh, 2
panel u8_a8, u8, ldrsb, 1
panel u8_a16, u8, ldrsh, 2

@ Two columns of a row of four-bit weights; see `rows.rs`.
.macro both byte, row, sum
    ldrb r3, [r1, #4*\row+\byte]
    lsrs r4, r3, #4
    muls r3, r0, r3
    add \sum, r3
    muls r4, r5, r4
    add \sum, r4
.endm

.macro columns load, widen, size, byte
    \load r0, [r2, #\size*\byte]
    \widen r0, r0
    \load r5, [r2, #\size*4+\size*\byte]
    \widen r5, r5
    lsls r3, r0, #4
    subs r5, r5, r3
    both \byte, 0, r8
    both \byte, 1, r9
    both \byte, 2, r10
    both \byte, 3, r11
    both \byte, 4, r12
    both \byte, 5, lr
    both \byte, 6, r6
    both \byte, 7, r7
.endm

@ Weights of four bits: two of them and two inputs take a register of the sums and that of the offset; the inputs' end is
@ at sp.
.macro panel_i4 name, load, widen, size
    begin \name
    push {r0, r3, r6, r7, lr}
    ldm r0!, {r3-r6}
    mov r8, r3
    mov r9, r4
    mov r10, r5
    mov r11, r6
    ldm r0!, {r3, r4, r6, r7}
    mov r12, r3
    mov lr, r4
2:
    columns \load, \widen, \size, 0
    columns \load, \widen, \size, 1
    columns \load, \widen, \size, 2
    columns \load, \widen, \size, 3
    adds r1, #32
    adds r2, #8*\size
    ldr r3, [sp, #4]
    cmp r2, r3
    beq 3f
    b 2b
3:
    pop {r0, r3}
    mov r2, r8
    mov r3, r9
    mov r4, r10
    mov r5, r11
    stm r0!, {r2-r5}
    mov r2, r12
    mov r3, lr
    stm r0!, {r2, r3, r6, r7}
    pop {r6, r7, pc}
    end \name
.endm

panel_i4 i4_a8, ldrb, sxtb, 1
panel_i4 i4_a16, ldrh, sxth, 2

@ A row from its sum and multiplier: the rounded high product as `mulhi_round` has it, then saturation, for which it is
@ shifted to 0 to 2^16 - 1; the product is within 2^30 of 0.
.macro requant row
    ldr r3, [r0, #4*\row]
    add r3, r8
    mov r4, r9
    lsls r3, r4
    ldr r4, [r1, #4*\row]
    uxth r5, r3
    asrs r3, r3, #16
    uxth r6, r4
    asrs r4, r4, #16
    mov r7, r5
    muls r7, r6, r7
    muls r5, r4, r5
    muls r6, r3, r6
    muls r3, r4, r3
    lsrs r7, r7, #16
    adds r6, r6, r7
    uxth r4, r6
    adds r5, r5, r4
    asrs r6, r6, #16
    asrs r5, r5, #16
    adcs r3, r5
    adds r3, r3, r6
    add r3, r10
    asrs r4, r3, #31
    bics r3, r4
    lsrs r4, r3, #16
    @ No carry if it is too large: then minus one.
    rsbs r4, r4, #0
    sbcs r4, r4
    orrs r3, r4
    add r3, r11
    strh r3, [r2, #2*\row]
.endm

    begin requant
    push {r6, r7, lr}
    mov r8, r3
    mov r9, r4
    movs r3, #1
    lsls r3, r3, #15
    mov r10, r3
    rsbs r3, r3, #0
    mov r11, r3
    .irp row, 0, 1, 2, 3, 4, 5, 6, 7
    requant \row
    .endr
    pop {r6, r7, pc}
    end requant

.irp name, begin, end, row, column, panel, both, columns, panel_i4, requant
.purgem \name
.endr
