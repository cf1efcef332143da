//! The socket: accept, identify, limit, route, stream.
//!
//! ```text
//! actor       accepts, one connection task each
//! places      how many connections there may be
//! connection  one client: its form, its calls under way
//! long        long requests while they arrive
//! out         what the client is owed, in its form
//! wire        how it is written, and for how long it may stay unread
//! budget      what all clients together are owed
//! authority   who may ask for what
//! audit       who has asked for what changes something
//! route       which owner answers which verb
//! late        what is said of a call whose time is over
//! detached    pins that nobody waits for
//! access, pin, kubo, status, doctor, follow, wait   the verbs that need more than one owner
//! ```
//! Connection tasks are as old as their connection, not as the actor: a restart of the actor cuts nobody off.

mod access;
pub mod actor;
mod audit;
mod authority;
mod budget;
mod connection;
mod detached;
mod doctor;
mod follow;
mod kubo;
mod late;
mod long;
mod mark;
mod out;
mod pin;
mod places;
mod route;
mod state;
mod status;
mod wait;
mod wire;

pub use audit::Refusals;
pub use pin::Changes;
pub(crate) use route::LISTINGS;
pub use route::Routes;
