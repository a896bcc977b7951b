"""What the sample is made of: its tables, indexes and programs, and the words in its rows."""
# ruff: noqa: SIM905 - words read better without quotes

from __future__ import annotations

FIRST_NAMES = (
    "Ada Alessia Amélie Anna Beatriz Björn Carla Chiara Daniel Diego Elena Emil Fatima Francesco "
    "Giulia Hanna Ingrid Jakub Jean Jürgen Katarzyna Lena Luca Marco Maria Mateo "
    "Nadia Noah Olga Pietro Sofia Zoë"
).split()
LAST_NAMES = (
    "Andersson Bianchi Bonnet Conti Costa Dubois Fernández Ferrari Fischer Greco Hansen Hoffmann "
    "Janssen Kowalski Lefèvre Leone López Marino Meyer Moreau Müller Nielsen Novák O'Brien Petit "
    "Ricci Rossi Russo Schmidt Silva Weber Wiśniewski"
).split()
CITIES = (
    "Milano Torino Bologna Paris Lyon Marseille Berlin Köln München Hamburg Madrid Sevilla Lisboa "
    "Porto Wien Zürich København Stockholm Kraków Praha"
).split()
COUNTRIES = "IT IT IT FR FR FR DE DE DE DE ES ES PT PT AT CH DK SE PL CZ".split()
STREETS = (
    "Via Garibaldi|Via Roma|Corso Vittorio Emanuele|Rue de la République|Rue Victor Hugo|"
    "Boulevard Voltaire|Hauptstraße|Bahnhofstraße|Gartenweg|Calle Mayor|"
    "Avenida de la Constitución|Rua Augusta|Praça da Alegria|Mariahilfer Straße|Nørrebrogade|"
    "Drottninggatan|ulica Floriańska|Národní třída|Lindenallee|Piazza Dante"
).split("|")
DOMAINS = "example.com example.org example.net mail.example post.example".split()
MATERIALS = "oak walnut steel linen wool leather bamboo glass ceramic copper cork cotton".split()
THINGS = (
    "desk lamp|bookshelf|armchair|dining table|coat rack|tea set|cutting board|blanket|wall clock|"
    "storage box|picture frame|plant pot|bar stool|mirror|rug|laptop sleeve|notebook|fruit bowl|"
    "candle holder|side table"
).split("|")
COLOURS = "natural black white sand grey moss ochre rust navy plum".split()
QUALITIES = (
    "Made by hand in small batches.|Oiled twice and ready to use.|Easy to clean with a damp cloth.|"
    "Comes flat-packed with all tools included.|Each piece differs slightly in grain and colour.|"
    "Tested for daily use over ten years.|Suitable for indoor use only.|The frame carries up to 120 kg."
).split("|")
REMARKS = (
    "Please leave the parcel with the neighbour.|Call before delivery; the doorbell is broken.|"
    "It's a gift, so please don't include the invoice.|Deliver after 17:00 if possible.|"
    'The entrance is through the courtyard, second door, marked "B".|Merci d\'avance ! 🙏|'
    "Bitte nicht am Samstag liefern.|Per favore suonare due volte al citofono.|"
    "Invoice to the company address, see customer file.|"
    "Second attempt, the first parcel arrived damaged."
).split("|")
ACTORS = "shop payments warehouse carrier anna.k luca.m support scheduler".split()

TABLES = (
    """\
CREATE TABLE customers (
  id int unsigned NOT NULL AUTO_INCREMENT,
  email varchar(120) NOT NULL,
  name varchar(80) NOT NULL,
  phone varchar(30) DEFAULT NULL,
  street varchar(120) NOT NULL,
  postcode varchar(12) NOT NULL,
  city varchar(60) NOT NULL,
  country char(2) NOT NULL,
  notes text,
  created_at datetime NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='People who order'""",
    """\
CREATE TABLE products (
  id int unsigned NOT NULL AUTO_INCREMENT,
  sku varchar(20) NOT NULL,
  name varchar(120) NOT NULL,
  description text NOT NULL,
  price decimal(10,2) NOT NULL,
  stock int NOT NULL DEFAULT 0,
  attributes json DEFAULT NULL,
  created_at datetime NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci""",
    """\
CREATE TABLE orders (
  id int unsigned NOT NULL AUTO_INCREMENT,
  number varchar(20) NOT NULL,
  customer_id int unsigned NOT NULL,
  status enum('pending','paid','shipped','delivered','returned','cancelled') NOT NULL DEFAULT 'pending',
  total decimal(12,2) NOT NULL,
  currency char(3) NOT NULL DEFAULT 'EUR',
  shipping_address varchar(255) NOT NULL,
  tracking varchar(40) DEFAULT NULL,
  remark text,
  placed_at datetime NOT NULL,
  updated_at datetime(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci""",
    """\
CREATE TABLE order_items (
  order_id int unsigned NOT NULL,
  line smallint unsigned NOT NULL,
  product_id int unsigned NOT NULL,
  quantity smallint unsigned NOT NULL,
  unit_price decimal(10,2) NOT NULL,
  amount decimal(12,2) GENERATED ALWAYS AS (quantity * unit_price) VIRTUAL,
  PRIMARY KEY (order_id, line)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci""",
    """\
CREATE TABLE order_events (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  order_id int unsigned NOT NULL,
  kind varchar(20) NOT NULL,
  actor varchar(40) NOT NULL,
  message varchar(255) NOT NULL,
  happened_at datetime(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='What happened to each order'""",
)

# Sorting the rows into an index once is faster than keeping it in order row by row.
INDEXES = (
    """\
ALTER TABLE customers ADD UNIQUE KEY email (email), ADD KEY place (country, city),
  ADD KEY created_at (created_at)""",
    "ALTER TABLE products ADD UNIQUE KEY sku (sku), ADD KEY name (name(20))",
    """\
ALTER TABLE orders ADD UNIQUE KEY number (number), ADD KEY customer (customer_id, placed_at),
  ADD KEY status (status, placed_at), ADD KEY tracking (tracking)""",
    "ALTER TABLE order_items ADD KEY product (product_id)",
    """\
ALTER TABLE order_events ADD KEY order_id (order_id, happened_at),
  ADD KEY kind (kind, happened_at)""",
    """\
ALTER TABLE orders
  ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)""",
    """\
ALTER TABLE order_items
  ADD CONSTRAINT items_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
  ADD CONSTRAINT items_product FOREIGN KEY (product_id) REFERENCES products (id)""",
    """\
ALTER TABLE order_events
  ADD CONSTRAINT events_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE""",
)

PROGRAMS = (
    """\
CREATE FUNCTION order_weight(wanted int unsigned) RETURNS int unsigned
    READS SQL DATA
    COMMENT 'Items in an order'
BEGIN
  -- An order without items weighs nothing; SUM would say NULL.
  DECLARE items int unsigned DEFAULT 0;
  SELECT coalesce(sum(quantity), 0) INTO items FROM order_items WHERE order_id = wanted;
  RETURN items; /* not the weight in kilograms; the name is older than the scales */
END""",
    """\
CREATE PROCEDURE order_ship(IN wanted int unsigned, IN parcel varchar(40), IN shipped_at datetime(3))
    MODIFIES SQL DATA
BEGIN
  -- Only what is paid leaves the warehouse.
  UPDATE orders
     SET status = 'shipped', tracking = parcel, updated_at = shipped_at
   WHERE id = wanted AND status = 'paid';
  # The trigger writes the event; see order_status_changed.
END""",
    """\
CREATE TRIGGER order_status_changed AFTER UPDATE ON orders FOR EACH ROW
BEGIN
  -- Every change of status leaves a line in the history; other changes do not.
  IF NOT NEW.status <=> OLD.status THEN
    INSERT INTO order_events (order_id, kind, actor, message, happened_at)
    VALUES (NEW.id, NEW.status, 'shop',
      concat('Status: ', OLD.status, ' -> ', NEW.status, ';'), NEW.updated_at);
  END IF;
END""",
    """\
CREATE VIEW open_orders AS
SELECT o.number, c.name AS customer, c.country, o.status, o.total, order_weight(o.id) AS items, o.placed_at
  FROM orders o JOIN customers c ON c.id = o.customer_id
 WHERE o.status IN ('pending', 'paid', 'shipped')""",
    """\
CREATE VIEW daily_sales AS
SELECT cast(placed_at AS date) AS day, count(*) AS orders, sum(total) AS turnover
  FROM orders WHERE status <> 'cancelled' GROUP BY cast(placed_at AS date)""",
    """\
CREATE EVENT forget_old_history ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 04:00:00'
  ON COMPLETION PRESERVE COMMENT 'Keeps ten years' DO
BEGIN
  -- In small bites, so that nobody waits for the locks.
  DELETE FROM order_events WHERE happened_at < now() - INTERVAL 10 YEAR LIMIT 10000;
END""",
)
