// Threads as Rust programs use them.
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

thread_local!(static OWN: std::cell::Cell<u32> = std::cell::Cell::new(5));

fn main() {
    let (sender, receiver) = mpsc::channel();
    let barrier = Arc::new(Barrier::new(10));
    let shared = Arc::new(RwLock::new(0u32));
    let threads: Vec<_> = (0..10u32)
        .map(|i| {
            let (sender, barrier, shared) = (sender.clone(), barrier.clone(), shared.clone());
            thread::spawn(move || {
                OWN.with(|own| own.set(i));
                barrier.wait();
                *shared.write().unwrap() += OWN.with(|own| own.get());
                sender.send(i).unwrap();
                i
            })
        })
        .collect();
    drop(sender);
    let joined: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    println!("{} {} {}", joined, receiver.iter().sum::<u32>(), shared.read().unwrap());
    println!("{}", OWN.with(|own| own.get()));

    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let other = pair.clone();
    let waiter = thread::spawn(move || {
        let mut ready = other.0.lock().unwrap();
        while !*ready {
            ready = other.1.wait(ready).unwrap();
        }
        println!("ready");
    });
    thread::sleep(Duration::from_millis(2));
    *pair.0.lock().unwrap() = true;
    pair.1.notify_all();
    waiter.join().unwrap();
    let lock = pair.0.lock().unwrap();
    println!("{}", pair.1.wait_timeout(lock, Duration::from_millis(3)).unwrap().1.timed_out());
    std::panic::set_hook(Box::new(|_| println!("panics")));  // the usual one prints the thread's number
    println!("{}", thread::spawn(|| panic!("in a thread")).join().is_err());
    println!("{}", thread::scope(|scope| scope.spawn(|| 17).join().unwrap()));
}
