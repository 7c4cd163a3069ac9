"""Facts said in three ways, and pairs of sentences that look alike and say different things."""

SAME = (
    ("The fiscal year starts in July", "Our fiscal year begins in July", "July is when the fiscal year starts"),
    (
        "Refunds are excluded from quarterly revenue",
        "Quarterly revenue excludes refunds",
        "Refunds do not count towards the quarterly revenue",
    ),
    (
        "Anna Keller leads the data science team",
        "The data science team is led by Anna Keller",
        "Anna Keller is the leader of the data science team",
    ),
    (
        "Backups are kept for 35 days",
        "We keep backups for 35 days",
        "Backups are stored for 35 days before they are deleted",
    ),
    (
        "I prefer bar charts in dark blue",
        "My preference is dark blue bar charts",
        "Bar charts should be dark blue, I like that best",
    ),
)

DIFFERENT = (
    ("The churn model uses a 90 day window", "The churn model uses a 60 day window"),
    ("Anna leads the data science team", "Peter leads the data science team"),
    ("The export contains cancelled orders", "The export does not contain cancelled orders"),
    ("Backups of Berlin are kept for 35 days", "Backups of Munich are kept for 35 days"),
    ("The price column is in euros", "The price column is in dollars"),
    ("Invoices are due on Monday", "Invoices are due on Tuesday"),
    ("The dashboard is refreshed twice a day", "The dashboard is refreshed once a day"),
    ("Use the table sales_2024 for reports", "Use the table sales_2025 for reports"),
    ("Ticket ERR-4042 is about refunds", "Ticket ERR-4043 is about refunds"),
    ("Maria approves travel requests", "Mario approves travel requests"),
    ("The API allows 60 calls a minute", "The API allows 60 calls an hour"),
    ("Salaries may be exported", "Salaries may never be exported"),
    ("Anna reports to Peter", "Peter reports to Anna"),
    ("The loan default rate rose in autumn", "The loan default rate fell in autumn"),
    ("Three analysts work in Lisbon", "Four analysts work in Lisbon"),
    ("Always round amounts up", "Always round amounts down"),
    ("The nightly job runs before the backup", "The nightly job runs after the backup"),
    ("The sensor works without a battery", "The sensor works with a battery"),
    ("customers from spain get a discount", "customers from france get a discount"),
    ("The minimum order is 20 euros", "The maximum order is 20 euros"),
)
