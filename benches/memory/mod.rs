//! What this process takes of the machine's memory.

/// Bytes of memory in use; the peak is counted from here.
pub(crate) fn rest() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").expect("cleared");
    peak()
}

/// The most that was in use since [`rest`].
pub(crate) fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
