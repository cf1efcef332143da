//! The machine, as `/proc` says.

/// What it has and does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Machine {
    /// Its load, of one minute.
    pub(super) load: Option<f64>,
    /// Bytes of memory.
    pub(super) memory_total: Option<u64>,
    /// Bytes of it that programs could have.
    pub(super) memory_available: Option<u64>,
}

/// One look at it.
pub(super) fn look() -> Machine {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    parse(&read("/proc/loadavg"), &read("/proc/meminfo"))
}

fn parse(load: &str, memory: &str) -> Machine {
    let bytes = |name: &str| {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Machine {
        load: load.split(' ').next().and_then(|load| load.parse().ok()).filter(|load: &f64| load.is_finite()),
        memory_total: bytes("MemTotal"),
        memory_available: bytes("MemAvailable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_and_what_it_does_not_tell_is_unknown() {
        let memory = "MemTotal:       16 kB\nMemFree:         1 kB\nMemAvailable:    4 kB\n";
        let expected = Machine { load: Some(0.25), memory_total: Some(16384), memory_available: Some(4096) };
        assert_eq!(parse("0.25 0.31 0.40 2/345 6789\n", memory), expected);
        assert_eq!(parse("", ""), Machine::default());
        assert_eq!(parse("NaN 1", "MemTotal: many kB\nMemAvailable: 1 MB\n"), Machine::default());
        let here = look();
        assert!(here.load.is_some() && here.memory_total > here.memory_available && here.memory_available > Some(0));
    }
}
