@ The products of `paired.rs`; what is where is described there. Macros are taken back at the end, because a program has
@ one space of their names.

.syntax unified

@ Four columns of a row with one input, pairs of which are in r4 and r5.
.macro quad sum, w
    sxtb16 r10, \w
    smlad \sum, r10, r4, \sum
    sxtb16 \w, \w, ror #8
    smlad \sum, \w, r5, \sum
.endm

@ The same with two: even columns of each in r4 and r5, odd ones in r6 and r7.
.macro quads first, second, w
    sxtb16 r10, \w
    smlad \first, r10, r4, \first
    smlad \second, r10, r5, \second
    sxtb16 r10, \w, ror #8
    smlad \first, r10, r6, \first
    smlad \second, r10, r7, \second
.endm

.macro begin name
    .pushsection .text.kinglet_\name, "ax", %progbits
    .balign 4
    .global kinglet_\name
    .hidden kinglet_\name
    .type kinglet_\name, %function
    .thumb_func
kinglet_\name:
    push {r4-r11, lr}
.endm

@ Where so many bytes of inputs enter a round of four blocks, of so many bytes each, at label 2: into r4, by r6.
.macro enter bytes
    .if \bytes == 8
    lsr r4, r4, #3
    .else
    lsr r4, r4, #4
    .endif
    rsb r4, r4, #0
    and r4, r4, #3
    adr.w r6, 8f
    ldrsh r4, [r6, r4, lsl #1]
    add r4, r4, r6
.endm

@ To the list of where rounds without none to three blocks begin, which is behind the function.
.macro done name
8:
    .irp blocks, 0, 1, 2, 3
    .short 2b - 8b + \blocks * ((3b - 2b) / 4) + 1
    .endr
    .size kinglet_\name, . - kinglet_\name
    .popsection
.endm

    begin paired_one
    mov lr, r1
    mov r12, r2
    mov r11, r3
    sub r4, r3, r2
    enter 8
    push {r0-r2, r4}
    ldm r0, {r0-r3}
    ldr.w pc, [sp, #12]
    .balign 4
2:
    .rept 4
    ldrd r4, r5, [r12], #8
    ldm.w lr, {r6-r9}
    add.w lr, lr, #32
    quad r0, r6
    quad r1, r7
    quad r2, r8
    quad r3, r9
    .endr
3:
    cmp r12, r11
    bne.w 2b
    ldm sp, {r4-r6}
    stm r4!, {r0-r3}
    @ The other four rows come second; then zero.
    cbz r5, 4f
    add lr, r5, #16
    mov r12, r6
    movs r5, #0
    strd r4, r5, [sp]
    ldm r4, {r0-r3}
    ldr.w pc, [sp, #12]
4:
    add sp, #16
    pop {r4-r11, pc}
    done paired_one

    begin paired_two
    ldr r11, [sp, #36]
    sub r4, r11, r3
    enter 16
    add r5, r0, #32
    push {r0-r5}
1:
    add r1, r0, r1
    ldrd r2, r3, [r1]
    ldrd r0, r1, [r0]
    ldrd lr, r12, [sp, #8]
    ldr.w pc, [sp, #16]
    .balign 4
2:
    .rept 4
    ldm.w r12!, {r4-r7}
    ldrd r8, r9, [lr], #32
    quads r0, r2, r8
    quads r1, r3, r9
    .endr
3:
    cmp r12, r11
    bne.w 2b
    @ Two rows of each: sums, from those of one to those of the other, weights.
    ldm sp, {r4-r6}
    add r7, r4, r5
    strd r2, r3, [r7]
    strd r0, r1, [r4], #8
    add r6, r6, #8
    str r4, [sp]
    str r6, [sp, #8]
    mov r0, r4
    mov r1, r5
    ldr r7, [sp, #20]
    cmp r4, r7
    bne.w 1b
    add sp, #24
    pop {r4-r11, pc}
    done paired_two

.irp name, quad, quads, begin, enter, done
.purgem \name
.endr
