//! `kubo`.

use crate::stub::{Stub, kubo};
use proto_msgs::kubo::{KuboLogLine, KuboLogPage, KuboLogs, KuboState, KuboStatus, KuboStop};
use proto_msgs::verb::{Body, Verb};

#[test]
fn kubo_status_exits_with_3_and_the_report_when_kubo_is_not_running() {
    for (state, code) in [(KuboState::Running, 0), (KuboState::Stopped, 3), (KuboState::CrashLoop, 3)] {
        let ran = Stub::one(move |_| Body::Done(KuboStatus::done(kubo(state)))).run(&["kubo", "status"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""));
        let words = state.name().replace('_', " ");
        assert!(ran.stdout.starts_with(&format!("state     {words} for 3m\n")), "{ran:?}");
    }
    let ran = Stub::one(|_| Body::Done(KuboStop::done(kubo(KuboState::Stopped)))).run(&["kubo", "stop"]);
    assert_eq!(ran.all(), (0, "Kubo is stopped\n", ""));
}

#[test]
fn logs_are_lines_without_orders_to_the_terminal() {
    let stub = Stub::one(|_| {
        let line = KuboLogLine { at: "T".to_owned(), stream: "stdout".to_owned(), text: "\u{1b}[31mred\tx".to_owned() };
        Body::Done(KuboLogs::done(KuboLogPage { lines: vec![line], dropped: 0 }))
    });
    assert_eq!(stub.run(&["kubo", "logs", "-n", "5"]).all(), (0, "T \\u{1b}[31mred\tx\n", ""));
}
