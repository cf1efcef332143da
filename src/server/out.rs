//! What a client is owed: responses in its form, in a bounded outbox that the connection's writer empties.

use proto_msgs::verb::{Body, Part, Response};
use proto_msgs::{binary, json};
use tokio::sync::mpsc;

/// Messages that wait for the writer.
const OUTBOX: usize = 16;

/// How a client speaks.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Json,
    Binary,
}

/// Where a connection's messages go, in its form.
#[derive(Clone)]
pub(super) struct Out {
    form: Form,
    outbox: mpsc::Sender<Vec<u8>>,
}

/// The client has hung up.
#[derive(Debug)]
pub(super) struct Gone;

impl Out {
    /// And what the writer has to write.
    pub(super) fn new(form: Form) -> (Out, mpsc::Receiver<Vec<u8>>) {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        (Out { form, outbox }, messages)
    }

    /// The same in JSON, for a client whose own form is not understood.
    pub(super) fn in_json(self) -> Out {
        Out { form: Form::Json, ..self }
    }

    /// Sends a response; waits while the client is slow.
    pub(super) async fn send(&self, id: u64, body: Body) -> Result<(), Gone> {
        self.send_bytes(self.bytes(id, body)).await
    }

    /// Sends what is in no form.
    pub(super) async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.outbox.send(bytes).await.map_err(|_| Gone)
    }

    fn bytes(&self, id: u64, body: Body) -> Vec<u8> {
        let response = Response { id, body };
        match self.form {
            Form::Json => json::response_line(&response),
            Form::Binary => binary::frame(&response),
        }
    }
}

/// Where one call's parts go.
#[derive(Clone)]
pub(super) struct Parts {
    id: u64,
    out: Out,
}

impl Parts {
    pub(super) fn new(id: u64, out: Out) -> Parts {
        Parts { id, out }
    }

    /// Sends a part; waits while the client is slow.
    pub(super) async fn send(&self, part: Part) -> Result<(), Gone> {
        self.out.send(self.id, Body::Part(part)).await
    }

    /// Sends a part when there is room, and otherwise drops it: for progress, of which only the newest matters.
    pub(super) fn offer(&self, part: Part) {
        // A full or closed outbox is the client's own doing; the call's end finds it out.
        let _ = self.out.outbox.try_send(self.out.bytes(self.id, Body::Part(part)));
    }
}
