<?php // A backend in PHP. See README.md.

function publish(string $channel, string $data): array
{
    $headers = ['Authorization: Bearer ' . getenv('BARO_KEY'), 'Content-Type: application/json'];
    $http = ['method' => 'POST', 'header' => $headers, 'content' => json_encode(['channel' => $channel, 'data' => $data])];
    return json_decode(file_get_contents(getenv('BARO_URL') . '/api/v1/publish', false, stream_context_create(['http' => $http])), true);
}

function signed(string $body): bool
{
    $sent = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $key = base64_decode(substr(getenv('BARO_WEBHOOK_SECRET'), strlen('whsec_')));
    $wanted = 'v1,' . base64_encode(hash_hmac('sha256', ($_SERVER['HTTP_WEBHOOK_ID'] ?? '') . ".$sent.$body", $key, true));
    $fits = array_filter(explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? ''), fn($given) => hash_equals($wanted, $given));
    return $fits && preg_match('/^\d+\z/', $sent) && abs(time() - (int) $sent) <= 300;
}

function answer(array $message): array
{
    foreach ($message['events'] ?? [] as $event) {
        error_log($event['type'] . ' ' . json_encode($event['data']));
    }
    if (($message['type'] ?? '') !== 'rpc') {
        return [200, (object) []];
    }
    if ($message['data']['method'] !== 'greet') {
        return [404, ['error' => ['code' => 'unknown_method', 'message' => 'there is greet']]];
    }
    return [200, ['data' => publish('greetings', 'Hello, ' . $message['data']['data'])]];
}

$body = file_get_contents('php://input');
[$status, $answer] = signed($body) ? answer(json_decode($body, true)) : [401, (object) []];
http_response_code($status);
echo json_encode($answer);
