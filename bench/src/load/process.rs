//! What a server process has used, as Linux tells it.

use std::fs;
use std::io;

/// Clock ticks per second in `/proc/PID/stat`: part of Linux' ABI, whatever the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pid(pub u32);

impl Pid {
    /// Seconds on a CPU so far, user and system, all threads.
    pub(crate) fn cpu_seconds(self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        ticks(&stat).map(|ticks| ticks as f64 / TICKS_PER_SECOND).ok_or_else(|| unreadable("/proc/PID/stat"))
    }

    /// KiB of memory resident now.
    pub(crate) fn resident_kib(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        resident(&status).ok_or_else(|| unreadable("/proc/PID/status"))
    }
}

/// Seconds all cores together were not idle so far, whoever used them: other guests of the host too.
pub(crate) fn machine_seconds() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    busy(&stat)
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
        .ok_or_else(|| unreadable("the first line of /proc/stat"))
}

fn ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn busy(stat: &str) -> Option<u64> {
    // user nice system idle iowait irq softirq steal
    let times = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let times = times.map(|time| time.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] = times[..] else { return None };
    Some(user + nice + system + irq + softirq + steal)
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no figure found in {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_times() {
        let stat = "17 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("17 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_read_from_its_line() {
        assert_eq!(resident("Name:\tx\nVmHWM:\t 9 kB\nVmRSS:\t    1684 kB\n"), Some(1684));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn waiting_is_not_busy() {
        assert_eq!(busy("cpu  1 2 4 1000 1000 8 16 32 9 9\ncpu0 1 1 1\n"), Some(63));
        assert_eq!(busy("cpu  1 2 4\n"), None);
        assert!(machine_seconds().unwrap() > 0.0);
    }

    #[test]
    fn this_process_has_used_something() {
        let me = Pid(std::process::id());
        assert!(me.resident_kib().unwrap() > 0);
        assert!(me.cpu_seconds().is_ok());
    }
}
