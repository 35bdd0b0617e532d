# The products of `riscv.rs`; registers are described there. Macros are taken back at the end, because a program has one
# space of their names.

# A column of two rows.
.macro two byte, column, row, sum, next
    \byte t3, 4*\row+\column(a0)
    \byte t4, 4*\row+4+\column(a0)
    mul t3, t3, t5
    mul t4, t4, t5
    add \sum, \sum, t3
    add \next, \next, t4
.endm

.macro column byte, load, size, column
    \load t5, \size*\column(a1)
    two \byte, \column, 0, a3, a4
    two \byte, \column, 2, a5, a6
    two \byte, \column, 4, a7, t0
    two \byte, \column, 6, t1, t2
.endm

# Two columns of a row of four-bit weights; see `rows.rs`.
.macro both byte, row, sum
    lbu t3, 4*\row+\byte(a0)
    srli t4, t3, 4
    mul t3, t3, t5
    mul t4, t4, t6
    add \sum, \sum, t3
    add \sum, \sum, t4
.endm

.macro columns load, size, byte
    \load t5, \size*\byte(a1)
    \load t6, \size*4+\size*\byte(a1)
    slli t4, t5, 4
    sub t6, t6, t4
    both \byte, 0, a3
    both \byte, 1, a4
    both \byte, 2, a5
    both \byte, 3, a6
    both \byte, 4, a7
    both \byte, 5, t0
    both \byte, 6, t1
    both \byte, 7, t2
.endm

# A panel's product: weights of 8 bits loaded by byte, or without it of 4 bits; inputs of so many bytes by load.
.macro panel name, load, size, byte
    .pushsection .text.kinglet_\name, "ax", %progbits
    .balign 4
    .global kinglet_\name
    .hidden kinglet_\name
    .type kinglet_\name, %function
kinglet_\name:
2:
    .ifb \byte
    .irp at, 0, 1, 2, 3
    columns \load, \size, \at
    .endr
    addi a1, a1, 8*\size
    .else
    .irp at, 0, 1, 2, 3
    column \byte, \load, \size, \at
    .endr
    addi a1, a1, 4*\size
    .endif
    addi a0, a0, 32
    bne a1, a2, 2b
    ret
    .size kinglet_\name, . - kinglet_\name
    .popsection
.endm

panel i8_a8, lb, 1, lb
panel i8_a16, lh, 2, lb
panel u8_a8, lb, 1, lbu
panel u8_a16, lh, 2, lbu
panel i4_a8, lb, 1
panel i4_a16, lh, 2

.irp name, two, column, both, columns, panel
.purgem \name
.endr
