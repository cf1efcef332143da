//! The lane of MFS against the real index and a Kubo whose MFS is a tree in memory.

mod rig;

use super::*;
use proptest::prelude::*;
use proto_msgs::vfs::VfsOp;
use rig::*;
use std::collections::BTreeSet;

#[tokio::test]
async fn an_unchanged_root_is_one_question_and_no_write() {
    let mut rig = Rig::new().await;
    let root = tree(&[("/a/b/f", 1), ("/a/g", 2), ("/h", 3)]);
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    let state = rig.lane.board.mfs.borrow().clone();
    assert_eq!((state.entries, state.unread, state.whole), (6, 0, true));
    assert_eq!(rig.look(&root).await, ["files/stat?arg=/&offline=true"]);
    assert!(rig.lane.board.mfs.borrow().as_of > state.as_of, "which moves the time");
    // Another process finds it whole, too, and lists nothing.
    rig.memory = Memory::default();
    assert_eq!(listed(&rig.look(&root).await), 0);
}

#[tokio::test]
async fn only_directories_that_have_changed_are_listed_and_only_new_entries_are_measured() {
    let mut rig = Rig::new().await;
    let mut root = Node::dir();
    for dir in 0..20 {
        for file in 0..50 {
            *root.at(&format!("/d{dir}/f{file}")) = Node::File(file);
        }
    }
    assert_eq!(listed(&rig.look(&root).await), 21);
    *root.at("/d7/new") = Node::File(99);
    let asked = rig.look(&root).await;
    assert_eq!(listed(&asked), 2, "the root and /d7: {asked:?}");
    // The root's new entry is /d7 itself.
    assert_eq!(asked.iter().filter(|call| call.starts_with("files/stat?arg=%2Fipfs%2F")).count(), 2);
    rig.assert_equals(&root).await;
    let told = rig.told().await;
    assert_eq!(told[0], (VfsOp::Added, "/".to_owned()), "the first walk is one line");
    let last: BTreeSet<_> = told[1..].iter().map(|(op, path)| (op.name(), path.as_str())).collect();
    assert_eq!(last, [("added", "/d7/new"), ("changed", "/"), ("changed", "/d7")].into());
}

#[tokio::test]
async fn what_comes_and_goes_with_a_directory_is_one_line_of_the_journal() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/a/b/f", 1), ("/a/b/g", 2), ("/ab/f", 3), ("/a!/f", 4), ("/a0/f", 5)]);
    rig.look(&root).await;
    *root.at("/c") = root.at("/a").clone();
    root.remove("/a");
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    let told: BTreeSet<_> = rig.told().await.split_off(1).into_iter().map(|(op, path)| (op.name(), path)).collect();
    assert_eq!(told, [("added", "/c"), ("changed", "/"), ("removed", "/a")].map(|(op, p)| (op, p.to_owned())).into());
    *root.at("/c") = Node::File(1);
    rig.look(&root).await;
    rig.assert_equals(&root).await;
}

#[tokio::test]
async fn an_entry_whose_block_is_not_here_is_shown_without_measures_and_hides_no_other() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/a/f", 1), ("/a/gone", 2), ("/a/z", 3), ("/b/f", 4), ("/c/f", 5)]);
    let (file, dir) = (Node::File(2).cid(), root.at("/b").cid());
    rig.kubo().missing.extend([file.clone(), dir.clone()]);
    rig.look(&root).await;
    let rows = rig.rows().await;
    let row = |path: &str| rows.iter().find(|row| row.place.path() == path).map(|row| row.put.clone()).expect(path);
    assert_eq!((row("/a/gone").kind, row("/a/gone").state), (None, State::Unread));
    assert_eq!((row("/b").kind, row("/b").state), (None, State::Unread));
    assert_eq!((row("/a").state, row("/a/z").size, row("/c/f").size), (State::Whole, Some(3), Some(5)));
    assert_eq!(rig.lane.board.mfs.borrow().unread, 2);
    // They are back, and looked for when it is time for that.
    rig.kubo().missing.clear();
    assert_eq!(rig.look(&root).await.len(), 1, "not at once");
    rig.memory.again = None;
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    assert_eq!(rig.lane.board.mfs.borrow().unread, 0);
}

#[tokio::test]
async fn a_listing_that_is_cut_removes_nothing_and_after_three_times_holds_the_rest_up_no_longer() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/a/f", 1), ("/a/g", 2), ("/b/f", 3)]);
    rig.look(&root).await;
    let before = rig.flat().await;
    root.remove("/a/f");
    root.remove("/b/f");
    *root.at("/b/new") = Node::File(4);
    let cut = root.at("/a").cid();
    rig.kubo().set(&root);
    rig.kubo().cut.insert(cut);
    for _ in 0..2 {
        assert!(look(&rig.lane, &rig.rpc, &mut rig.memory).await.is_err());
        assert!(rig.flat().await.contains_key("/a/f"), "it came without its end");
        assert!(!rig.lane.board.mfs.borrow().whole);
    }
    rig.look(&root).await;
    let flat = rig.flat().await;
    assert!(flat.contains_key("/a") && !flat.contains_key("/a/g") && flat.contains_key("/b/new"), "{flat:?}");
    assert_eq!(rig.lane.board.mfs.borrow().unread, 1);
    assert!(rig.told().await.contains(&(VfsOp::Unread, "/a".to_owned())));
    rig.kubo().cut.clear();
    rig.memory.again = None;
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    assert_ne!(rig.flat().await, before);
}

#[tokio::test]
async fn a_directory_of_a_hundred_thousand_is_walked_and_one_new_file_in_it_is_one_change() {
    let mut rig = Rig::new().await;
    let entries = (0..100_000).map(|n| (format!("file {n}"), Node::File(n % 100))).collect();
    let mut root = Node::dir();
    *root.at("/big") = Node::Dir(entries);
    rig.look(&root).await;
    assert_eq!(rig.lane.board.mfs.borrow().entries, 100_002);
    *root.at("/big/one more") = Node::File(7);
    root.remove("/big/file 500");
    rig.look(&root).await;
    let told: BTreeSet<_> = rig.told().await.split_off(1).into_iter().map(|(op, path)| (op.name(), path)).collect();
    let expected = [("added", "/big/one more"), ("changed", "/"), ("changed", "/big"), ("removed", "/big/file 500")];
    assert_eq!(told, expected.map(|(op, path)| (op, path.to_owned())).into());
    assert_eq!(rig.lane.board.mfs.borrow().entries, 100_002);
}

#[tokio::test]
async fn directories_in_each_other_without_end_are_read_up_to_a_limit_and_hide_no_other() {
    let mut rig = Rig::new().await;
    rig.lane.most = 200;
    // Twelve blocks, and 4,096 paths to the file.
    let mut bomb = Node::File(1);
    for _ in 0..12 {
        bomb = Node::Dir([("a", bomb.clone()), ("b", bomb)].map(|(name, node)| (name.to_owned(), node)).into());
    }
    let mut root = Node::dir();
    *root.at("/bomb") = bomb;
    rig.look(&root).await;
    let state = rig.lane.board.mfs.borrow().clone();
    assert!((200..230).contains(&state.entries) && state.unread > 0, "{state:?}");
    assert!(rig.lane.board.last_error.borrow().as_ref().is_some_and(|error| error.detail.contains("more than 200")));
    root.remove("/bomb");
    *root.at("/a/file") = Node::File(1);
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    assert_eq!(rig.lane.board.mfs.borrow().unread, 0);
}

#[tokio::test]
async fn of_two_entries_with_one_name_the_first_counts_and_a_strange_cid_spoils_its_directory_alone() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/twice/x", 1), ("/strange/f", 2), ("/z/f", 3)]);
    let (twice, strange) = (root.at("/twice").cid(), root.at("/strange").cid());
    let other = tree(&[("/y", 1)]);
    rig.kubo().keep(&other);
    rig.kubo().also.insert(twice, ("x".to_owned(), other.cid()));
    rig.kubo().also.insert(strange, ("s".to_owned(), "bnocid".to_owned()));
    rig.kubo().set(&root);
    for _ in 0..2 {
        assert!(look(&rig.lane, &rig.rpc, &mut rig.memory).await.is_err());
    }
    rig.look(&root).await;
    let flat = rig.flat().await;
    assert_eq!(flat["/twice/x"], (Node::File(1).cid(), Some(1)));
    assert!(!flat.contains_key("/twice/x/y") && !flat.contains_key("/strange/f") && flat.contains_key("/z/f"));
    assert_eq!(rig.lane.board.mfs.borrow().unread, 1);
}

#[tokio::test]
async fn the_tree_of_another_node_is_not_taken() {
    let mut rig = Rig::of("peer-b").await;
    rig.kubo().set(&Node::dir());
    assert!(look(&rig.lane, &rig.rpc, &mut rig.memory).await.is_err());
    assert_eq!(rig.rows().await.len(), 0);
}

/// One change of a tree.
#[derive(Clone, Debug)]
enum Change {
    Write(String, u64),
    Mkdir(String),
    Remove(String),
    Copy(String, String),
    Look,
    /// A look that ends after so many answers.
    Crash(usize),
    /// A look while the blocks of this path are not here.
    Missing(String),
}

fn change() -> impl Strategy<Value = Change> {
    let path = || proptest::collection::vec("[ab!]", 1..4).prop_map(|names| format!("/{}", names.join("/")));
    prop_oneof![
        4 => (path(), 0..5_u64).prop_map(|(path, size)| Change::Write(path, size)),
        1 => path().prop_map(Change::Mkdir),
        2 => path().prop_map(Change::Remove),
        2 => (path(), path()).prop_map(|(from, to)| Change::Copy(from, to)),
        2 => Just(Change::Look),
        3 => (2..12_usize).prop_map(Change::Crash),
        1 => path().prop_map(Change::Missing),
    ]
}

/// Makes the changes with looks between them, then one more: index and journal equal the tree.
async fn follow(changes: Vec<Change>) {
    let mut rig = Rig::new().await;
    let mut root = Node::dir();
    for change in changes {
        match change {
            Change::Write(path, size) => *root.at(&path) = Node::File(size),
            Change::Mkdir(path) => drop(root.at(&path)),
            Change::Remove(path) => root.remove(&path),
            Change::Copy(from, to) => {
                let from = root.at(&from).clone();
                *root.at(&to) = from;
            }
            Change::Look => drop(rig.look(&root).await),
            Change::Crash(answers) => rig.crash(&root, answers).await,
            Change::Missing(path) => {
                let cid = root.at(&path).cid();
                if cid != root.cid() {
                    rig.kubo().missing.insert(cid);
                    rig.look(&root).await;
                    rig.kubo().missing.clear();
                }
                rig.memory.again = None;
            }
        }
    }
    rig.memory.again = None;
    rig.look(&root).await;
    rig.assert_equals(&root).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_that_ends_anywhere_goes_on_until_index_and_journal_equal_the_tree(
        changes in proptest::collection::vec(change(), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(follow(changes));
    }
}

/// Found by the test above.
#[tokio::test]
async fn a_directory_that_was_missing_and_has_changed_by_the_time_it_is_there_is_told_as_new() {
    let path = |path: &str| path.to_owned();
    follow(vec![Change::Missing(path("/!")), Change::Copy(path("/!/a"), path("/a"))]).await;
}
