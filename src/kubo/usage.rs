//! What a process takes of the machine, as `/proc` says.

use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Read;

/// One look at a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Clock ticks from the machine's start to its own, which tells it from others with its number.
    pub began: u64,
    /// Seconds that processors have worked for it.
    pub cpu_s: f64,
    /// Bytes of memory in use (resident).
    pub memory: u64,
}

impl Usage {
    /// Seconds since it began.
    pub fn age_s(&self) -> f64 {
        let up = clock_gettime(ClockId::Boottime);
        (up.tv_sec as f64 + up.tv_nsec as f64 / 1e9 - seconds(self.began)).max(0.0)
    }
}

/// Of the process with this number, if it is there.
pub fn of(pid: u32) -> Option<Usage> {
    // It is asked for with each `status`; whole in one read, which the kernel gives to whoever has room.
    let mut stat = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    parse(&String::from_utf8_lossy(&stat[..length]))
}

/// The fields behind the name, which stands in brackets and may hold anything; the first of them is the third of all.
fn parse(stat: &str) -> Option<Usage> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    let cpu_s = seconds(field(14)?.checked_add(field(15)?)?);
    let memory = field(24)?.checked_mul(rustix::param::page_size() as u64)?;
    Some(Usage { began: field(22)?, cpu_s, memory })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let (tick, page) = (rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64);
        let fields = format!("S 1 1 1 0 -1 4194560 9 0 0 0 {} {} 0 0 20 0 9 0 777 1000 3 0", 2 * tick, tick);
        let expected = Some(Usage { began: 777, cpu_s: 3.0, memory: 3 * page });
        for name in ["ipfs", "a b", ") S 1 (", ""] {
            assert_eq!(parse(&format!("42 ({name}) {fields}\n")), expected, "{name}");
        }
        assert_eq!(parse("42 (ipfs) S 1 1"), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse(&fields.replace("777", "-1")), None);
    }

    #[test]
    fn one_that_runs_has_memory_and_an_age_and_one_that_is_not_there_nothing() {
        let own = of(std::process::id()).expect("we run");
        assert!(own.memory > 1 << 20 && own.age_s() >= 0.0 && own.cpu_s >= 0.0);
        assert_eq!(of(u32::MAX), None);
    }
}
