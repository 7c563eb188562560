//! Fault reports as people read them: registers, and a backtrace with names
//! from the program's symbol table.

use abi::fault::FaultReport;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use goblin::elf::sym::STT_FUNC;
use goblin::elf::Elf;

/// The function that holds an address, and the offset in it: `name+0x12`.
pub fn name(program: Option<&Elf<'_>>, address: u64) -> Option<String> {
    let program = program?;
    let holds = |s: &goblin::elf::Sym| {
        s.st_type() == STT_FUNC && s.st_value <= address && address < s.st_value.saturating_add(s.st_size.max(1))
    };
    let symbol = program.syms.iter().find(holds)?;
    let raw = program.strtab.get_at(symbol.st_name)?;
    Some(format!("{:#}+{:#x}", rustc_demangle::demangle(raw), address.saturating_sub(symbol.st_value)))
}

/// What the CPU calls an exception (SDM 3A, table 6-1).
fn vector(number: u64) -> &'static str {
    match number {
        0 => "divide error",
        1 => "debug exception",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD error",
        0x100 => "unknown system call",
        _ => "exception",
    }
}

/// The lines of a report.
pub fn lines(report: &FaultReport, file: Option<&[u8]>) -> Vec<String> {
    let program = file.and_then(|f| Elf::parse(f).ok());
    let end = report.name.iter().position(|b| *b == 0).unwrap_or(report.name.len());
    let who = String::from_utf8_lossy(report.name.get(..end).unwrap_or(&[])).to_string();
    let [rip, rsp, rflags] = report.state;
    let mut out = Vec::new();
    let mut first =
        format!("fault: {who} (process {}, thread {}): {}", report.process, report.thread, vector(report.vector));
    match report.vector {
        14 => {
            let access = match report.code & 0b1_0010 {
                0b1_0000 => "executing",
                0b0_0010 => "writing",
                _ => "reading",
            };
            let why = if report.code & 1 == 0 { "not mapped" } else { "not allowed" };
            first += &format!(", {access} {:#x} ({why})", report.address);
        }
        _ => first += &format!(", code {:#x}", report.code),
    }
    out.push(first);
    out.push(format!("fault:   rip {rip:016x} rsp {rsp:016x} rflags {rflags:08x}"));
    let names = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    let pairs: Vec<(&str, u64)> = names.into_iter().zip(report.registers).collect();
    for four in pairs.chunks(4) {
        let text: Vec<String> = four.iter().map(|(n, v)| format!("{n:>3} {v:016x}")).collect();
        out.push(format!("fault:   {}", text.join(" ")));
    }
    let frames = core::iter::once(rip).chain(report.frames.iter().copied().take_while(|f| *f != 0));
    for (depth, address) in frames.enumerate() {
        // A return address may stand past the end of its function: the call before it is what is meant.
        let look = if depth == 0 { address } else { address.saturating_sub(1) };
        let name = name(program.as_ref(), look).unwrap_or_else(|| "?".to_string());
        out.push(format!("fault:   #{depth} {address:#x} {name}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::lines;
    use abi::fault::{FaultReport, FRAMES};

    #[inline(never)]
    fn a_function_with_a_name() -> u64 {
        std::hint::black_box(a_function_with_a_name as *const () as u64)
    }

    #[test]
    fn names_come_from_the_programs_symbols() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = goblin::elf::Elf::parse(&file).unwrap();
        let symbol = elf
            .syms
            .iter()
            .find(|s| elf.strtab.get_at(s.st_name).is_some_and(|n| n.contains("a_function_with_a_name")))
            .unwrap();
        a_function_with_a_name();
        let mut frames = [0; FRAMES];
        frames[0] = symbol.st_value + 1;
        let report = FaultReport {
            process: 9,
            thread: 10,
            vector: 14,
            code: 6,
            address: 0,
            state: [symbol.st_value, 2, 3],
            registers: [0; 15],
            frames,
            name: *b"tester\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let text = lines(&report, Some(&file)).join("\n");
        assert!(text.contains("tester (process 9, thread 10): page fault, writing 0x0 (not mapped)"), "{text}");
        assert_eq!(text.matches("a_function_with_a_name+0x0").count(), 2, "{text}");
        assert!(lines(&report, Some(b"not an ELF")).join("\n").contains("#0"));
    }
}
