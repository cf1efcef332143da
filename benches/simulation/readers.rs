//! Readers of a known class, and what they are taken for.

use super::process::{DAY, HOUR, Happening, Process, START, Source};
use super::random::Random;
use ipfs_kitd::analytics::pattern::{Class, Place, Reading};

/// The classes that are a matter of judgement.
pub(crate) const CLASSES: [Class; 6] =
    [Class::Sporadic, Class::Steady, Class::Bursty, Class::Periodic, Class::Sequential, Class::Streaming];

/// Of so many readers of each class (rows, in the order of `CLASSES`), how many are taken for each (columns), and in the last column
/// how many for anything else. Each is judged after so many accesses.
pub(crate) fn confusion(seed: u64, readers: u64, accesses: u32) -> [[u64; CLASSES.len() + 1]; CLASSES.len()] {
    let mut seen = [[0; _]; CLASSES.len()];
    for (row, class) in (0..).zip(CLASSES) {
        for reader in 0..readers {
            let mut random = Random::of(seed, row * readers + reader);
            let (reading, now) = read(class, accesses, &mut random);
            let taken = reading.judge(Some(now - START), now).class;
            let column = CLASSES.iter().position(|class| *class == taken).unwrap_or(CLASSES.len());
            seen[row as usize][column] += 1;
        }
    }
    seen
}

/// What a reader of a class leaves behind, and the time of its last access.
fn read(class: Class, accesses: u32, random: &mut Random) -> (Reading, f64) {
    let process = match class {
        Class::Sporadic => Process::Steady { rate: 1.0 / (random.log_between(4.0, 12.0) * DAY) },
        Class::Steady => Process::Steady { rate: random.log_between(1.0, 100.0) / DAY },
        Class::Bursty if random.share() < 0.5 => Process::Hawkes {
            rate: random.log_between(0.05, 0.5) / DAY,
            children: random.between(0.7, 0.95),
            decay: 1.0 / (random.log_between(0.1, 2.0) * HOUR),
        },
        Class::Bursty => Process::OnOff {
            rate: random.log_between(5.0, 50.0) / HOUR,
            on: random.log_between(0.5, 2.0) * HOUR,
            off: random.log_between(2.0, 20.0) * DAY,
        },
        Class::Periodic => {
            let period = [HOUR, 6.0 * HOUR, DAY, 7.0 * DAY][(random.share() * 4.0) as usize];
            let late = period * random.between(0.01, 0.3);
            Process::Clock { period, phase: random.between(0.0, period), late, kept: random.between(0.85, 1.0) }
        }
        // Whoever reads a directory or a film does it in one go, at any pace.
        _ => Process::Steady { rate: 1.0 / random.log_between(0.1, 60.0) },
    };
    let jumps = random.between(0.0, 0.2);
    let mut source = Source::new(process, START, random.clone());
    // The source goes on with a copy.
    let mut random = Random::of(random.word(), 0);
    let (mut reading, mut now) = (Reading::default(), START);
    let mut place = Place { file: 0, offset: 0 };
    let mut read = 0;
    while read < accesses {
        let (at, what) = source.next(now).expect("it goes on for ever");
        source.happened(at, what);
        now = at;
        if what == Happening::Silent {
            continue;
        }
        let jump = random.share() < jumps || !matches!(class, Class::Sequential | Class::Streaming);
        place = match class {
            _ if jump => Place { file: (random.share() * 200.0) as u64, offset: (random.share() * 100.0) as u64 },
            Class::Sequential => Place { file: place.file + 1, offset: 0 },
            _ => Place { offset: place.offset + 1, ..place },
        };
        reading.record(at, Some(place));
        read += 1;
    }
    (reading, now)
}
