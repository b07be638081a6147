"""SQLAlchemy's ORM over psycopg2: mapped classes, relationships loaded in three ways, units of work."""
from sqlalchemy import (BigInteger, Boolean, Column, DateTime, ForeignKey, Identity, Numeric, SmallInteger, String,
                        create_engine, event, func, select)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload

from check import equal, guarded, permitted, refused, truth

Base = declarative_base()


class Customer(Base):
    __tablename__ = "customers"
    id = Column(BigInteger, Identity(), primary_key=True)
    customer_no = Column(String)
    first_name = Column(String)
    last_name = Column(String)
    region = Column(String)
    country = Column(String)
    language = Column(String)
    segment = Column(String)
    orders = relationship("Order", back_populates="customer", order_by="Order.id")
    email_addresses = relationship("EmailAddress", back_populates="customer")


class EmailAddress(Base):
    __tablename__ = "email_addresses"
    id = Column(BigInteger, Identity(), primary_key=True)
    customer_id = Column(ForeignKey("customers.id"))
    contact_id = Column(BigInteger)
    address = Column(String)
    kind = Column(String)
    is_primary = Column(Boolean)
    bounced_at = Column(DateTime(timezone=True))
    customer = relationship(Customer, back_populates="email_addresses")


class Order(Base):
    __tablename__ = "orders"
    id = Column(BigInteger, Identity(), primary_key=True)
    customer_id = Column(ForeignKey("customers.id"))
    order_no = Column(String)
    status = Column(String)
    payment_method = Column(String)
    total_amount = Column(Numeric(12, 2))
    customer = relationship(Customer, back_populates="orders")
    lines = relationship("OrderLine", back_populates="order", cascade="all, delete-orphan")


class OrderLine(Base):
    __tablename__ = "order_lines"
    id = Column(BigInteger, Identity(), primary_key=True)
    order_id = Column(ForeignKey("orders.id"))
    line_no = Column(SmallInteger)
    product_id = Column(BigInteger)
    quantity = Column(BigInteger)
    unit_price = Column(Numeric(10, 2))
    order = relationship(Order, back_populates="lines")


def engine_of(role, purpose=None):
    engine = create_engine(f"postgresql+psycopg2://{role}@/", pool_size=1, max_overflow=0)
    if purpose:
        @event.listens_for(engine, "begin")
        def declare(connection):
            connection.exec_driver_sql(f"SET LOCAL privacy_guard.purpose = '{purpose}'")
    return engine


def sqlstate(error):
    return error.orig.pgcode if isinstance(error, DBAPIError) else None


def count(session, entity):
    return session.scalar(select(func.count()).select_from(entity))


with Session(engine_of("crm_app")) as session:
    equal("crm_app counts customers", count(session, Customer), permitted("all", "customers"))
    customer = session.get(Customer, truth["neither"])
    equal("get by primary key", customer.id, truth["neither"])

    # A whole unit of work: parent and children in one flush, then a change, then a cascade of deletes.
    order = Order(customer=customer, order_no="O-orm-1", status="new", payment_method="card", total_amount=30,
                  lines=[OrderLine(line_no=n, product_id=n, quantity=1, unit_price=15) for n in (1, 2)])
    session.add(order)
    session.commit()
    equal("insert of an order with lines", len(order.lines), 2)
    order.status = "paid"
    order.lines.pop()
    session.commit()
    equal("update and removal of a child", (order.status, len(order.lines)), ("paid", 1))
    number = order.id
    session.delete(order)
    session.commit()
    equal("delete", session.get(Order, number), None)

for purpose in ("marketing.email", "marketing.phone"):
    with Session(engine_of("mailer", purpose)) as session:
        equal(f"mailer counts customers for {purpose}", count(session, Customer), permitted(purpose, "customers"))

with Session(engine_of("mailer")) as session:
    query = select(Customer).where(Customer.region == "Bavaria").order_by(Customer.id)
    expected = permitted("marketing.email", "bavarians")
    equal("all entities of a query", len(session.scalars(query).all()), expected)
    for name, option in (("selectin", selectinload), ("joined", joinedload)):
        session.expunge_all()
        found = session.scalars(query.options(option(Customer.email_addresses))).unique().all()
        equal(f"{name} loading of addresses", len(found), expected)
        equal(f"{name} loading keeps them with their customers",
              all(address.customer_id == c.id for c in found for address in c.email_addresses), True)
    session.expunge_all()
    equal("total of addresses by lazy loading",
          sum(len(c.email_addresses) for c in session.scalars(select(Customer)).yield_per(200)) > 0, True)
    equal("get of who did not agree", session.get(Customer, truth["neither"]) is None, guarded)
    equal("join", session.scalar(select(func.count()).select_from(Customer).join(EmailAddress)),
          permitted("marketing.email", "email_addresses"))
    refused("no rule for orders", sqlstate, lambda: session.get(Customer, truth["email_only"]).orders)
    session.rollback()

    address = session.scalars(select(EmailAddress).where(EmailAddress.contact_id == truth["email_only"])).first()
    address.kind = "private"
    session.flush()
    equal("update of who agreed", address.kind, "private")
    session.rollback()

    def move():
        address.customer_id = truth["neither"]
        session.flush()
    refused("moving a row to who did not agree", sqlstate, move)
    session.rollback()
