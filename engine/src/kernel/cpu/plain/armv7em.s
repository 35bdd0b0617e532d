@ The products of `armv7em.rs`; registers are described there. Macros are taken back at the end, because a program has
@ one space of their names.

.syntax unified

@ All columns of the word of a row, at lr. `halves` makes pairs of the bytes of a word, or without it of its halves of bytes.
.macro row halves, sum, at:vararg
    ldr r8, \at
    .ifb \halves
    and r9, r10, r8
    smlad \sum, r9, r4, \sum
    and r9, r10, r8, lsr #8
    smlad \sum, r9, r5, \sum
    and r9, r10, r8, lsr #4
    smlad \sum, r9, r6, \sum
    and r9, r10, r8, lsr #12
    smlad \sum, r9, r7, \sum
    .else
    \halves r9, r8
    smlad \sum, r9, r4, \sum
    \halves r9, r8, ror #8
    smlad \sum, r9, r5, \sum
    .endif
.endm

@ The next four inputs as pairs: the even ones, the odd ones.
.macro pairs size, even, odd
    .if \size == 1
    ldr r8, [r12], #4
    sxtb16 \even, r8
    sxtb16 \odd, r8, ror #8
    .else
    ldr r9, [r12, #4]
    ldr r8, [r12], #8
    pkhbt \even, r8, r9, lsl #16
    pkhtb \odd, r9, r8, asr #16
    .endif
.endm

@ A panel's product with inputs of so many bytes.
.macro panel name, size, halves
    .pushsection .text.kinglet_\name, "ax", %progbits
    .balign 4
    .global kinglet_\name
    .hidden kinglet_\name
    .type kinglet_\name, %function
    .thumb_func
kinglet_\name:
    push {r4-r11, lr}
    mov r4, r0
    mov lr, r1
    @ The other rows, which come second; then zero.
    add r5, r1, #16
    push {r2, r4, r5}
    mov r12, r2
    mov r11, r3
    mov r10, #0x000f000f
2:
    ldm r4, {r0-r3}
3:
    pairs \size, r4, r5
    .ifb \halves
    pairs \size, r6, r7
    .endif
    row \halves, r1, [lr, #4]
    row \halves, r2, [lr, #8]
    row \halves, r3, [lr, #12]
    row \halves, r0, [lr], #32
    cmp r12, r11
    bne 3b
    ldm sp, {r4-r6}
    stm r5!, {r0-r3}
    cbz r6, 4f
    mov r12, r4
    mov lr, r6
    mov r4, r5
    movs r6, #0
    strd r5, r6, [sp, #4]
    b 2b
4:
    sub r0, lr, #16
    add sp, #12
    pop {r4-r11, pc}
    .size kinglet_\name, . - kinglet_\name
    .popsection
.endm

panel u8_a8, 1, uxtb16
panel u8_a16, 2, uxtb16
panel i4_a8, 1
panel i4_a16, 2

.irp name, row, pairs, panel
.purgem \name
.endr
