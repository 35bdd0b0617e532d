@ The products of `armv7m.rs`; registers are described there. Macros are taken back at the end, because a program has
@ one space of their names.

.syntax unified

@ A column of two rows.
.macro two byte, column, row, sum, next
    \byte r12, [r1, #4*\row+\column]
    \byte lr, [r1, #4*\row+4+\column]
    mla \sum, r12, r0, \sum
    mla \next, lr, r0, \next
.endm

.macro column byte, load, size, column
    \load r0, [r2, #\size*\column]
    two \byte, \column, 0, r4, r5
    two \byte, \column, 2, r6, r7
    two \byte, \column, 4, r8, r9
    two \byte, \column, 6, r10, r11
.endm

@ Two columns of a row of four-bit weights; see `rows.rs`.
.macro both byte, row, sum
    ldrb r12, [r1, #4*\row+\byte]
    lsr lr, r12, #4
    mla \sum, r12, r0, \sum
    mla \sum, lr, r3, \sum
.endm

.macro columns load, size, byte
    \load r0, [r2, #\size*\byte]
    \load r3, [r2, #\size*4+\size*\byte]
    sub r3, r3, r0, lsl #4
    both \byte, 0, r4
    both \byte, 1, r5
    both \byte, 2, r6
    both \byte, 3, r7
    both \byte, 4, r8
    both \byte, 5, r9
    both \byte, 6, r10
    both \byte, 7, r11
.endm

@ A panel's product: weights of 8 bits loaded by byte, or without it of 4 bits; inputs of so many bytes by load.
.macro panel name, load, size, byte
    .pushsection .text.kinglet_\name, "ax", %progbits
    .balign 4
    .global kinglet_\name
    .hidden kinglet_\name
    .type kinglet_\name, %function
    .thumb_func
kinglet_\name:
    push {r0, r3-r11, lr}
    ldm r0, {r4-r11}
2:
    .ifb \byte
    .irp at, 0, 1, 2, 3
    columns \load, \size, \at
    .endr
    ldr r3, [sp, #4]
    adds r2, #8*\size
    .else
    .irp at, 3, 2, 1, 0
    column \byte, \load, \size, \at
    .endr
    adds r2, #4*\size
    .endif
    adds r1, #32
    cmp r2, r3
    bne.w 2b
    ldr r0, [sp]
    stm r0, {r4-r11}
    mov r0, r1
    pop {r1, r3-r11, pc}
    .size kinglet_\name, . - kinglet_\name
    .popsection
.endm

panel i8_a8, ldrsb, 1, ldrsb
panel i8_a16, ldrsh, 2, ldrsb
panel u8_a8, ldrsb, 1, ldrb
panel u8_a16, ldrsh, 2, ldrb
panel i4_a8, ldrsb, 1
panel i4_a16, ldrsh, 2

.irp name, two, column, both, columns, panel
.purgem \name
.endr
