# A stand-in for the kernel: says on port 0xe9 what it was started with, and ends the emulator.
#
# What it sends: "PROBE001"; the boot information, byte for byte; then 64-bit words in the order of
# `enum Word` in firmware.rs. Entered as the kernel is: rdi = boot information, stack as after a call.

        .intel_syntax noprefix
        .set    BOOT_INFO_LENGTH, 7256
        .set    INITFS_START, 40

        .section .text
        .globl  start
start:
        mov     rbx, rsp                # before anything is pushed
        pushfq
        pop     r12
        mov     r13, rdi

        lea     rsi, [rip + greeting]
        mov     ecx, 8
        mov     dx, 0xe9
        rep     outsb                   # goes up only where the direction flag is clear
        mov     rsi, r13
        mov     ecx, BOOT_INFO_LENGTH
        rep     outsb

        mov     rax, r13
        call    send
        mov     rax, rbx
        call    send
        mov     rax, r12
        call    send
        mov     rax, rbp
        call    send
        mov     rax, cr0
        call    send
        mov     rax, cr3
        call    send
        mov     rax, cr4
        call    send
        mov     ecx, 0xc0000080
        rdmsr
        shl     rdx, 32
        or      rax, rdx
        call    send

        lea     rdi, [rip + start]
        call    leaf
        lea     rdi, [rip + greeting]
        call    leaf
        lea     rdi, [rip + written]
        call    leaf
        lea     rdi, [rip + zeroed]
        call    leaf
        mov     rdi, r13
        call    leaf

        mov     rax, [rip + written]
        call    send
        mov     rax, [rip + zeroed]
        call    send
        mov     qword ptr [rip + written], 1    # a fault here ends in a reset, and the test sees it
        mov     qword ptr [rip + zeroed], 1
        mov     rax, [r13 + INITFS_START]
        mov     rax, [rax]
        call    send
        mov     rax, [rbx]              # the return address there is not
        call    send

        mov     dx, 0xf4                # isa-debug-exit: status 2 * 16 + 1
        mov     eax, 16
        out     dx, eax
1:      hlt
        jmp     1b

# Sends rax.
send:
        push    rax
        mov     rsi, rsp
        mov     ecx, 8
        mov     dx, 0xe9
        rep     outsb
        pop     rax
        ret

# Sends the last page-table entry for the address in rdi, or 0 where there is none.
leaf:
        mov     rax, cr3
        mov     cl, 39
2:      and     rax, [rip + address_bits]
        mov     rdx, rdi
        shr     rdx, cl
        and     edx, 511
        mov     rax, [rax + rdx * 8]
        test    al, 1
        jz      4f
        test    al, 0x80                # large page; in the last level the bit is PAT, and unused here
        jnz     3f
        sub     cl, 9
        cmp     cl, 3
        jne     2b
3:      jmp     send
4:      xor     eax, eax
        jmp     send

        .section .rodata
greeting:
        .ascii  "PROBE001"
address_bits:
        .quad   0x000ffffffffff000

        .section .data
written:
        .quad   0x1122334455667788

        .section .bss
        .skip   8192
zeroed:
        .skip   8

        .section .note.GNU-stack, "", @progbits
