//! Who is connected. A new client always gets a place: where there is none, the connection whose last request is the longest ago
//! is closed, of the address that has most of them. So whoever has many connections loses them to each other, and not to those
//! who have one, such as the kubelet and Prometheus.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use tokio::sync::oneshot;

use crate::http::answers::Held;

/// Connections that are kept however few files there are.
const FEW: usize = 4;

/// What clients can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: usize,
    /// Connections of one address.
    pub(super) per_address: usize,
    /// Bytes of answers that are being taken. One that is larger is given out alone.
    pub(super) answer_bytes: usize,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    /// How many connections there are files for.
    room: usize,
    connections: BTreeMap<Id, Connection>,
    /// Counts connections and requests: the higher, the later.
    count: u64,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(u64);

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    /// When it asked the last time, or came.
    asked_at: u64,
    answer: Option<Held>,
    /// Dropping it closes the connection.
    _end: oneshot::Sender<()>,
}

impl Places {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            room: limits.connections,
            connections: BTreeMap::new(),
            count: 0,
        }
    }

    /// A place for a new client; close its connection when the receiver ends.
    pub(super) fn add_client(&mut self, from: IpAddr) -> (Id, oneshot::Receiver<()>) {
        let address = client_network(from);
        let has = |connection: &Connection| connection.address == address;
        if self.connections.values().filter(|one| has(one)).count() >= self.limits.per_address {
            self.close_one(|_id, connection| has(connection));
        }
        if self.connections.len() >= self.room {
            self.close_one(|_id, _connection| true);
        }
        let (end, ended) = oneshot::channel();
        let id = Id(self.next_number());
        let connection = Connection {
            address,
            asked_at: id.0,
            answer: None,
            _end: end,
        };
        self.connections.insert(id, connection);
        (id, ended)
    }

    /// The connection is over.
    pub(super) fn remove_client(&mut self, id: Id) {
        if self.connections.remove(&id).is_some() {
            self.room = self.limits.connections.min(self.room + 1);
        }
    }

    /// Its client asks for something; what it asked for before, it has taken.
    pub(super) fn start_request(&mut self, id: Id) {
        let now = self.next_number();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.asked_at = now;
            connection.answer = None;
        }
    }

    /// It is given an answer. Others that are held for too long make room for it.
    pub(super) fn hold_answer(&mut self, id: Id, answer: Held) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.answer = Some(answer);
        }
        let others =
            |one: Id, connection: &Connection| one != id && connection.held_answer().is_some();
        while self.held_bytes() > self.limits.answer_bytes && self.close_one(others) {}
    }

    /// Files have become few: closes so many connections other than this one, but for a few, without which a new client could lose
    /// its place before it is heard. So few there will be from now on; each that its client closes lets one more try.
    pub(super) fn make_do(&mut self, newest: Id, fewer: u64) {
        for _file in 0..fewer {
            if self.connections.len() <= FEW || !self.close_one(|id, _connection| id != newest) {
                break;
            }
            self.room = self.connections.len();
        }
    }

    /// There is no file at all: closes a connection, if there is one.
    pub(super) fn give_one(&mut self) -> bool {
        self.close_one(|_id, _connection| true)
    }

    /// The bytes of all answers, each counted once.
    fn held_bytes(&self) -> usize {
        let held = self
            .connections
            .values()
            .filter_map(Connection::held_answer);
        held.collect::<HashMap<_, _>>().values().sum()
    }

    /// Closes one of those that may be: of the address that has most of them the one that asked the longest ago.
    fn close_one(&mut self, may_be: impl Fn(Id, &Connection) -> bool) -> bool {
        let mut addresses: HashMap<IpAddr, (usize, u64, Id)> = HashMap::new();
        for (id, connection) in &self.connections {
            if may_be(*id, connection) {
                let new = (0, connection.asked_at, *id);
                let (count, asked_at, oldest) = addresses.entry(connection.address).or_insert(new);
                *count += 1;
                if connection.asked_at < *asked_at {
                    (*asked_at, *oldest) = (connection.asked_at, *id);
                }
            }
        }
        let most = addresses
            .into_values()
            .max_by_key(|(count, asked_at, _id)| (*count, std::cmp::Reverse(*asked_at)));
        let Some((_count, _asked_at, id)) = most else {
            return false;
        };
        self.connections.remove(&id).is_some()
    }

    const fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Connection {
    fn held_answer(&self) -> Option<(usize, usize)> {
        self.answer.as_ref()?.address_and_size()
    }
}

/// Who has an address: a client of IPv6 usually has all of a /64.
fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connections: 6,
        per_address: 4,
        answer_bytes: 100,
    };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_closed(ended: &mut oneshot::Receiver<()>) -> bool {
        matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn the_connection_that_is_idle_longest_makes_room_for_one_of_the_same_address() {
        let mut places = Places::new(LIMITS);
        let mut ends: Vec<_> = (0..4).map(|_| places.add_client(address(1))).collect();
        places.start_request(ends[0].0);
        places.add_client(address(1));
        let closed: Vec<_> = ends.iter_mut().map(|(_, end)| is_closed(end)).collect();
        assert_eq!(closed, [false, true, false, false]);
    }

    #[test]
    fn who_has_most_connections_makes_room_for_others() {
        let mut places = Places::new(LIMITS);
        let (_, mut alone) = places.add_client(address(1));
        let mut many: Vec<_> = (0..4).map(|_| places.add_client(address(2)).1).collect();
        let (_, mut other) = places.add_client(address(3));
        let _new = places.add_client(address(4));
        assert!(!is_closed(&mut alone) && !is_closed(&mut other));
        assert!(is_closed(&mut many[0]) && !is_closed(&mut many[1]));
    }

    #[test]
    fn where_all_have_one_the_longest_idle_goes() {
        let mut places = Places::new(LIMITS);
        let mut ends: Vec<_> = (0..6)
            .map(|last| places.add_client(address(last)))
            .collect();
        places.start_request(ends[0].0);
        let _new = places.add_client(address(9));
        assert!(!is_closed(&mut ends[0].1) && is_closed(&mut ends[1].1));
        places.remove_client(ends[2].0);
        let _new = places.add_client(address(10));
        assert!(!is_closed(&mut ends[3].1));
    }

    #[test]
    fn few_files_close_others_until_clients_close_some_themselves() {
        let mut places = Places::new(LIMITS);
        assert!(!places.give_one());
        let mut ends: Vec<_> = (0..6)
            .map(|last| places.add_client(address(last)))
            .collect();
        let newest = ends[5].0;
        places.make_do(newest, 9);
        let closed: Vec<_> = ends.iter_mut().map(|(_, end)| is_closed(end)).collect();
        assert_eq!(closed, [true, true, false, false, false, false]);
        let (next, _end) = places.add_client(address(9));
        assert!(is_closed(&mut ends[2].1), "there are files for four");
        places.remove_client(next);
        let _more = (places.add_client(address(7)), places.add_client(address(8)));
        assert!(!is_closed(&mut ends[3].1));
        assert!(places.give_one() && is_closed(&mut ends[3].1));
    }

    #[test]
    fn answers_that_are_held_make_room_for_others_and_shared_ones_count_once() {
        let mut places = Places::new(LIMITS);
        let text = |bytes: usize| std::sync::Arc::new(vec![b'x'; bytes]);
        let held = |text: &std::sync::Arc<Vec<u8>>| Held::from_text(text);
        let (shared, large, gone) = (text(60), text(70), text(90));
        let (one, mut one_end) = places.add_client(address(1));
        let (two, mut two_end) = places.add_client(address(2));
        let (three, mut three_end) = places.add_client(address(3));
        let (four, _end) = places.add_client(address(4));
        places.hold_answer(one, held(&shared));
        places.hold_answer(two, held(&shared));
        places.hold_answer(three, held(&gone));
        assert!(is_closed(&mut one_end) && is_closed(&mut two_end));
        assert!(!is_closed(&mut three_end));
        // What is taken is not held any more.
        drop(gone);
        places.hold_answer(four, held(&large));
        assert!(!is_closed(&mut three_end));
    }

    #[test]
    fn a_client_of_ipv6_is_its_network() {
        let of = |text: &str| client_network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
