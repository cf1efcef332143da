//! The built `ipfs-kitctl` against a stub daemon: what it prints in each format, what it exits with, what it asks. A file per subject.

mod access;
mod age;
mod analytics;
mod bulk;
mod bundle;
mod closed;
mod complete;
mod daemon;
mod failure;
mod index;
mod kubo;
mod list;
mod mark;
mod node;
mod pin;
mod stub;
mod watch;

use proto_msgs::FaultKind;
use proto_msgs::daemon::Status;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{Pin, PinLs, PinRows, PinType};
use proto_msgs::verb::{Body, Call, Part, Verb};
use stub::{Speaks, Stub, V0, V1, fault, page, pin, status};

fn two_pins(speaks: Speaks) -> Stub {
    Stub::new(speaks, |call| match call {
        Call::PinLs(_) => {
            let first = Pin { name: Some("a, \"b\"".to_owned()), size: Some(1_468_006), ..pin(V0) };
            let second = Pin { pin_type: PinType::Direct, codec: "raw".to_owned(), ..pin(V1) };
            let part = |pin| Body::Part(Part::PinLs(PinRows { pins: vec![pin] }));
            Box::new([part(first), part(second), Body::Done(PinLs::done(page(2)))].into_iter())
        }
        Call::Status(_) => Box::new(std::iter::once(Body::Done(Status::done(status(KuboState::Running))))),
        other => panic!("{other:?}"),
    })
}

/// A stub that answers a call with a fault of this kind.
fn failing(kind: FaultKind) -> Stub {
    Stub::one(move |_| fault(kind, "it went wrong", Some("do this")))
}
