"""Questions over tables that the grammar was not built on: answered right, or refused where a guess would be needed."""

from __future__ import annotations

import pytest

from tests.planners.offline import chart, database, offered, plan, run, same, support, weather
from workbench.core.errors import Refused

SUPPORT, WEATHER = support(), weather()
SUPPORT_OFFER, WEATHER_OFFER = offered(SUPPORT), offered(WEATHER)

DAY = "cast(opened_at as date)"
ABOUT_TICKETS = [
    ("how many tickets are there?", "select count(*) from tickets"),
    ("number of tickets by priority", "select priority, count(*) from tickets group by 1"),
    ("Tickets by Priority", "select priority, count(*) from tickets group by 1"),
    ("how many urgent tickets are open?", "select count(*) from tickets where priority='urgent' and status='open'"),
    ("how many tickets are urgent or low?", "select count(*) from tickets where priority in ('urgent','low')"),
    ("average resolution time by agent", "select agent, avg(resolution_hours) from tickets group by 1"),
    ("average resolution time in hours", "select avg(resolution_hours) from tickets"),
    ("median satisfaction per channel", "select channel, median(satisfaction) from tickets group by 1"),
    ("tickets opened in 2024", f"select * from tickets where year({DAY})=2024"),
    ("how many tickets were opened in March 2024?", f"select count(*) from tickets where strftime({DAY},'%Y%m')='202403'"),
    ("how many tickets were closed in 2024?", "select count(*) from tickets where year(cast(closed_at as date))=2024"),
    ("tickets opened since March 2025", f"select * from tickets where {DAY} >= '2025-03-01'"),
    ("tickets opened between January and March 2025", f"select * from tickets where {DAY} between '2025-01-01' and '2025-03-31'"),
    ("tickets opened in Q1 2024", f"select * from tickets where {DAY} between '2024-01-01' and '2024-03-31'"),
    ("how many tickets were opened last year?", f"select count(*) from tickets where year({DAY})=2025"),
    ("number of tickets opened per month", f"select date_trunc('month',{DAY}), count(*) from tickets group by 1"),
    ("which agent has the most tickets?", "select agent, count(*) c from tickets group by 1 order by c desc limit 1"),
    ("agent with the lowest average satisfaction", "select agent, avg(satisfaction) c from tickets group by 1 order by c limit 1"),
    ("top 2 agents by number of tickets", "select agent, count(*) c from tickets group by 1 order by c desc limit 2"),
    ("top 5 tickets by cost", "select * from tickets order by cost desc limit 5"),
    ("how many tickets are not closed?", "select count(*) from tickets where status<>'closed'"),
    ("tickets except closed", "select * from tickets where status<>'closed'"),
    ("tickets that aren't open", "select * from tickets where status<>'open'"),
    ("how many tickets were reopened?", "select count(*) from tickets where reopened"),
    ("how many tickets were not reopened?", "select count(*) from tickets where not reopened"),
    ("total cost of reopened tickets", "select sum(cost) from tickets where reopened"),
    ("share of tickets by channel", "select channel, 100*count(*)/sum(count(*)) over () from tickets group by 1"),
    ("what percentage of tickets are urgent?", "select 100*avg((priority='urgent')::int) from tickets"),
    ("what percentage of email tickets were reopened?", "select 100*avg(reopened::int) from tickets where channel='email'"),
    ("what percentage of tickets are urgent by agent", "select agent, 100*avg((priority='urgent')::int) from tickets group by 1"),
    ("how many tickets have no satisfaction?", "select count(*) from tickets where satisfaction is null"),
    ("how many tickets have a satisfaction of 4 or 5?", "select count(*) from tickets where satisfaction in (4,5)"),
    ("tickets with resolution over 48 hours", "select * from tickets where resolution_hours>48"),
    ("tickets with resolution hours between 10 and 20", "select * from tickets where resolution_hours between 10 and 20"),
    ("tickets with cost above 100 and below 200", "select * from tickets where cost>100 and cost<200"),
    ("correlation between cost and resolution hours", "select corr(cost, resolution_hours) from tickets"),
    ("list the agents", "select distinct agent from tickets"),
    ("how many agents are there?", "select count(distinct agent) from tickets"),
    ("compare average resolution hours between email and phone", "select channel, avg(resolution_hours) from tickets where channel in ('email','phone') group by 1"),
    ("email vs phone tickets", "select channel, count(*) from tickets where channel in ('email','phone') group by 1"),
    ("average satisfaction for Ana or Ben", "select avg(satisfaction) from tickets where agent in ('Ana','Ben')"),
    ("max, min and mean cost per agent", "select agent, max(cost), min(cost), avg(cost) from tickets group by 1"),
    ("total cost and number of tickets by agent and channel", "select agent, channel, sum(cost), count(*) from tickets group by 1, 2"),
    ("cost by agent", "select agent, sum(cost) from tickets group by 1"),
    ("average cost per ticket", "select avg(cost) from tickets"),
    ("first 3 rows of tickets", "select * from tickets limit 3"),
    ("describe the tickets table", "summarize tickets"),
    ("distribution of satisfaction", "select satisfaction, count(*) from tickets where satisfaction is not null group by 1"),
    # two tables
    ("how many clients are there?", "select count(*) from clients"),
    ("clients who joined in 2018", "select * from clients where joined like '2018%'"),
    ("number of tickets by plan", "select plan, count(*) from tickets join clients using (customer_id) group by 1"),
    ("average satisfaction by client plan", "select plan, avg(satisfaction) from tickets join clients using (customer_id) group by 1"),
    ("how many tickets from clients on the pro plan?", "select count(*) from tickets join clients using (customer_id) where plan='pro'"),
    ("total seats by plan", "select plan, sum(seats) from clients group by 1"),
    # one row for each name
    ("population by country", "select country, population from countries"),
    ("what is the population of Spain?", "select population from countries where country='Spain'"),
    ("which country has the highest population?", "select country, population from countries order by 2 desc limit 1"),
    ("total population by continent", "select continent, sum(population) from countries group by 1"),
]  # fmt: skip
NOT_ABOUT_TICKETS = [
    "average of the top 5 resolution hours",
    "average cost of the top 5 tickets",
    "second highest cost",
    "third largest cost by agent",
    "cost per ticket",
    "ratio of urgent to low tickets",
    "difference between urgent and low tickets",
    "urgent minus low tickets",
    "cost plus satisfaction",
    "growth of tickets",
    "change in tickets from 2024 to 2025",
    "why are there so many tickets",
    "which tickets are most likely to be reopened?",
    "tickets in 2024",  # opened or closed?
    "tickets by month",
    "tickets that are neither open nor closed",
    "satisfaction by agent",  # average? sum?
    "top 3 agents by satisfaction",
    "top agents by cost",  # how many?
    "average satisfaction for Ana and Ben",  # together or each?
    "cost of urgent and low tickets",
    "how many tickets were opened in March?",  # of which year?
    "open tickets or urgent tickets",
    "tickets that are open or from Ana",
    "tickets not open or closed in 2024",
    "percentage of urgent tickets by agent",
    "share of urgent tickets by agent",
    "what percentage of tickets are urgent in 2024",
    "highest cost by agent",  # one ticket's, or the agent's in all?
    "average cost per customer",
    "average monthly cost",
    "average number of tickets per agent",
    "average number of tickets per day",
    "which agent has the highest satisfaction",
    "which ticket has the highest cost",
    "who closed the most tickets",
    "how many customers have more than 5 tickets",
    "agents with more than 50 tickets",
    "agents with an average satisfaction above 3",
    "how many agents have a satisfaction of 5",
    "running total of cost",
    "moving average of cost",
    "95th percentile of cost",
    "cost by agent as a pie chart",
    "cost by agent as a line chart",
    "histogram of agent",
    "plot cost",
    "tickets with cost above average",
    "tickets from 2024-13-45",
    "tickets with cost above 1.000",
    "tickets opened in the last 3 months",
    "does Ana have more tickets than Ben?",
    "sum of ticket_id",
    "average customer",
    "cost by agent and email it to Bob",
    "drop table tickets",
    "total cost; delete from tickets",
    "total cost where agent = 'Ana' or 1=1",
    "select * from tickets",
    "Summarise the plot of Hamlet",
    "wie viele Tickets gibt es?",
    "what is the weather",
    "open",
    "?",
    "the",
    "",
]
ABOUT_WEATHER = [
    ("average temperature by station", "select station, avg(temperature_c) from readings group by 1"),
    ("avg temp by station", "select station, avg(temperature_c) from readings group by 1"),
    ("monthly average temperature", "select date_trunc('month',ts), avg(temperature_c) from readings group by 1"),
    ("total rainfall by month", "select date_trunc('month',ts), sum(rainfall_mm) from readings group by 1"),
    ("daily rainfall", "select ts::date, sum(rainfall_mm) from readings group by 1"),
    ("rainfall by quarter", "select date_trunc('quarter',ts), sum(rainfall_mm) from readings group by 1"),
    ("rainfall by week", "select date_trunc('week',ts), sum(rainfall_mm) from readings group by 1"),
    ("average temperature in January 2024", "select avg(temperature_c) from readings where ts<'2024-02-01'"),
    ("total rainfall in January or February 2024", "select sum(rainfall_mm) from readings where ts<'2024-03-01'"),
    ("readings where temperature is below -5", "select * from readings where temperature_c < -5"),
    ("readings with temperature between -2 and 2 degrees", "select * from readings where temperature_c between -2 and 2"),
    ("readings with rainfall over 5 mm", "select * from readings where rainfall_mm>5"),
    ("how many suspect readings at the Old Town?", "select count(*) from readings where quality='suspect' and station='Old Town'"),
    ("how many readings are not ok?", "select count(*) from readings where quality<>'ok'"),
    ("average temperature and humidity by month", "select date_trunc('month',ts), avg(temperature_c), avg(humidity_pct) from readings group by 1"),
    ("minimum and maximum temperature by station", "select station, min(temperature_c), max(temperature_c) from readings group by 1"),
    ("standard deviation of wind speed", "select stddev(wind_speed) from readings"),
    ("which station recorded the most rainfall?", "select station, sum(rainfall_mm) s from readings group by 1 order by s desc limit 1"),
    ("which day had the most rainfall?", "select ts::date, sum(rainfall_mm) s from readings group by 1 order by s desc limit 1"),
    ("compare the average temperature in January 2024 and February 2024", "select date_trunc('month',ts), avg(temperature_c) from readings where ts<'2024-03-01' group by 1"),
    ("rainfall at Harbour or Airport", "select sum(rainfall_mm) from readings where station in ('Harbour','Airport')"),
    ("rainfall excluding Harbour", "select sum(rainfall_mm) from readings where station<>'Harbour'"),
    ("correlation between temperature and humidity by station", "select station, corr(temperature_c, humidity_pct) from readings group by 1"),
    ("flights from Oslo", "select * from flights where origin='Oslo'"),
    ("flights to Paris", "select * from flights where dest='Paris'"),
    ("how many flights from Oslo to Paris?", "select count(*) from flights where origin='Oslo' and dest='Paris'"),
    ("total passengers by year", "select year, sum(passengers) from flights group by 1"),
    ("passengers in 2023", "select sum(passengers) from flights where year=2023"),
    ("passengers since 2023", "select sum(passengers) from flights where year>=2023"),
    ("compare passengers in 2022 and 2024", "select year, sum(passengers) from flights where year in (2022,2024) group by 1"),
    ("flights where year is 2023 and distance > 5000", "select * from flights where year=2023 and distance_km>5000"),
    ("top 2 destinations by passengers", "select dest, sum(passengers) s from flights group by 1 order by s desc limit 2"),
    ("average distance of Nordic Air flights", "select avg(distance_km) from flights where carrier='Nordic Air'"),
    ("average passengers per flight", "select avg(passengers) from flights"),
    ("list carriers", "select distinct carrier from flights"),
]  # fmt: skip
NOT_ABOUT_WEATHER = [
    "flights in Paris",  # from or to?
    "Paris flights",
    "flights from Lima",  # a destination only
    "flights to the moon",
    "temperature by month",
    "average monthly temperature",
    "average daily rainfall",
    "maximum daily rainfall",
    "warmest station",
    "which station has the highest temperature",
    "temperature range by station",
    "temperature change",
    "rainfall by weekday",
    "rainfall by day of week",
    "rainfall in the afternoon",
    "rainfall at Harbour and Airport",
    "readings with rainfall over 5 cm",
    "readings with temperature above 20 or humidity above 90",
    "passengers per flight",
    "passengers / distance",
    "passengers by weather",
    "average year",
    "flights in March 2023",
    "rainfall by carrier",
    "what fraction of readings are suspect",
    "rainfall until 2024-03-01",
    "rainfall around January 2024",
    "forecast the rainfall for 2025",
    "is the temperature higher at Harbour than at Airport?",
]


@pytest.mark.parametrize(("question", "expected"), ABOUT_TICKETS)
def test_a_question_about_the_help_desk_is_answered_right(question: str, expected: str) -> None:
    planned = plan(question, SUPPORT_OFFER)
    rows = database(SUPPORT).execute(expected).fetchall()
    assert same(run(planned, SUPPORT), rows, ordered="order by" in expected), planned.plan.steps[0].params["sql"]


@pytest.mark.parametrize(("question", "expected"), ABOUT_WEATHER)
def test_a_question_about_weather_and_flights_is_answered_right(question: str, expected: str) -> None:
    planned = plan(question, WEATHER_OFFER)
    rows = database(WEATHER).execute(expected).fetchall()
    assert same(run(planned, WEATHER), rows, ordered="order by" in expected), planned.plan.steps[0].params["sql"]


@pytest.mark.parametrize("question", NOT_ABOUT_TICKETS)
def test_a_trap_about_the_help_desk_is_refused(question: str) -> None:
    with pytest.raises(Refused) as caught:
        plan(question, SUPPORT_OFFER)
    assert caught.value.hint


@pytest.mark.parametrize("question", NOT_ABOUT_WEATHER)
def test_a_trap_about_weather_and_flights_is_refused(question: str) -> None:
    with pytest.raises(Refused):
        plan(question, WEATHER_OFFER)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("bar chart of tickets by priority", "bar"),
        ("tickets by priority as a bar chart", "bar"),
        ("total cost by agent, plot it", "bar"),
        ("total cost by agent and plot it as a bar chart", "bar"),
        ("total cost by agent. Then draw it.", "bar"),
        ("plot tickets opened by month", "line"),
        ("line chart of the number of tickets opened by month", "line"),
        ("distribution of priority", "bar"),
        ("histogram of resolution hours", "hist"),
        ("scatter plot of cost and resolution hours", "scatter"),
        ("plot cost against resolution hours", "scatter"),
        ("cost by agent", None),
    ],
)
def test_a_chart_is_drawn_when_it_is_asked_for(question: str, kind: str | None) -> None:
    assert chart(plan(question, SUPPORT_OFFER)) == kind
