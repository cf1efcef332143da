//! The lock janitor: says of each lock file whether it is live, by asking the kernel, and clears away what is proven dead.
//!
//! ```text
//!   places ──► evidence ──► verdict ──► clean ── under ──► hold
//!   (which)    (looks)      (pure)      (acts)             (the lock that is judged)
//! ```
//! `kernel`, `processes` and `address` are where evidence comes from, `facts` what it is made of; `advice` says what helps. Kubo's start calls [`start::clear`]; the actor looks, cleans
//! and publishes on a slow timer and for clients; `wait` is for who waits for a free repo.

pub mod actor;
mod address;
mod advice;
pub mod clean;
pub mod evidence;
pub mod facts;
mod hold;
pub(crate) mod kernel;
pub mod places;
mod processes;
pub mod start;
pub mod verdict;
pub mod wait;

/// Whether it comes true: what a test has closed stays open in what other tests start, until that executes.
#[cfg(test)]
fn soon(so: impl Fn() -> bool) -> bool {
    (0..100_000).any(|_| {
        std::thread::yield_now();
        so()
    })
}
