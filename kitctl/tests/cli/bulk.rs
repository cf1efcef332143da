//! `-o arrow` and `-o parquet`: bytes that the daemon makes, written as they come.

use crate::stub::{Ran, Speaks, Stub, V0, page, pin};
use proto_msgs::bulk::BulkBytes;
use proto_msgs::pin::{PinLs, PinRows, PinType};
use proto_msgs::verb::{Body, Call, Part, Verb};
use std::fs::File;

fn answering(speaks: Speaks) -> Stub {
    Stub::new(speaks, |call| {
        let Call::PinLs(asked) = call else { panic!("{call:?}") };
        assert_eq!((asked.pin_type, asked.limit), (Some(PinType::Direct), Some(5)));
        let part = |text: String| Body::Part(Part::Bulk(BulkBytes { bytes: text.into_bytes() }));
        let parts =
            [part(format!("{:?} ", asked.bulk)), part(asked.columns.join("+")), Body::Done(PinLs::done(page(2)))];
        Box::new(parts.into_iter())
    })
}

#[test]
fn the_daemons_bytes_are_the_whole_output_in_both_forms_of_the_protocol() {
    let ls = ["pin", "ls", "--type", "direct", "--limit", "5", "-o"];
    for speaks in [Speaks::Binary, Speaks::Json] {
        let stub = answering(speaks);
        let run = |rest: &[&str]| stub.run(&[&ls[..], rest].concat());
        assert_eq!(run(&["arrow"]).all(), (0, "Some(Arrow) ", ""));
        assert_eq!(run(&["parquet", "--columns", "cid,size"]).all(), (0, "Some(Parquet) cid+size", ""));
    }
}

#[test]
fn bytes_are_refused_on_a_terminal_again_and_again_and_where_there_are_no_rows() {
    let stub = answering(Speaks::Binary);
    for format in ["arrow", "parquet"] {
        let terminal = File::options().read(true).write(true).open("/dev/ptmx").expect("a terminal");
        let output = stub.command(&["pin", "ls", "-o", format]).stdout(terminal).output().expect("it runs");
        let ran = Ran::of(output);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains("standard output is a terminal"), "{}", ran.stderr);
        let ran = stub.run(&["pin", "ls", "-o", format, "--watch"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains("leave out --watch"), "{}", ran.stderr);
        let ran = stub.run(&["pin", "info", V0, "-o", format]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains("no such format"), "{}", ran.stderr);
    }
}

#[test]
fn a_daemon_that_does_not_know_the_form_is_told_from_one_that_does() {
    let stub = Stub::new(Speaks::Json, |_| {
        let rows = Body::Part(Part::PinLs(PinRows { pins: vec![pin(V0)] }));
        Box::new([rows, Body::Done(PinLs::done(page(1)))].into_iter())
    });
    let ran = stub.run(&["pin", "ls", "-o", "arrow"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("it does not know this format; -o ndjson goes"), "{}", ran.stderr);
}
